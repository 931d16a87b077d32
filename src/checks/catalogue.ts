/** The catalogue of all checks, and when each layer runs. */
import type {ExtraSample} from '../manifests/extra-sample.ts';
import {type Layer, layers} from '../results/results.ts';
import {ambient} from './ambient.ts';
import {cluster} from './cluster.ts';
import {cni} from './cni.ts';
import {controlPlane} from './control-plane.ts';
import type {
  CheckDefinition,
  LayerAttribution,
  LayerChecks,
  MeshCheckInput,
  PreflightInput,
  StandingCheckInput
} from './definition.ts';
import {dns} from './dns.ts';
import {dnsProxy} from './dns-proxy.ts';
import {docs} from './docs.ts';
import {echo} from './echo.ts';
import {egress} from './egress.ts';
import {endpoints} from './endpoints.ts';
import {failover} from './failover.ts';
import {gateway} from './gateway.ts';
import {headless} from './headless.ts';
import {health} from './health.ts';
import {http} from './http.ts';
import {mtls} from './mtls.ts';
import {network} from './network.ts';
import {node} from './node.ts';
import {operator} from './operator.ts';
import {path} from './path.ts';
import {proxy} from './proxy.ts';
import {runner} from './runner.ts';
import {service} from './service.ts';
import {uninstall} from './uninstall.ts';
import {upgrade} from './upgrade.ts';
import {workload} from './workload.ts';
import {xds} from './xds.ts';

/** Run before the cluster is created; a failure ends the run. */
export const preflightChecks: LayerChecks<PreflightInput>[] = [runner, network];

/** Run as soon as the phases in `needs` have passed. A failure of a `fatal` layer ends the run before the operator starts. */
export const standingChecks: {
  checks: LayerChecks<StandingCheckInput>;
  needs: string[];
  fatal: boolean;
}[] = [
  {checks: node, needs: ['cluster', 'api'], fatal: true},
  {checks: operator, needs: ['uncordon'], fatal: false},
  {checks: docs, needs: ['name'], fatal: false}
];

/** Run once the samples are ready. `after` lists phases that would disturb the layer, or that it would disturb. */
export const meshChecks: {checks: LayerChecks<MeshCheckInput>; after: string[]}[] = [
  {checks: workload, after: []},
  {checks: service, after: []},
  {checks: endpoints, after: []},
  {checks: echo, after: []},
  {checks: controlPlane, after: ['mesh', 'check echo']}, // the documented checks go first
  {checks: dns, after: ['check echo']},
  {checks: cluster, after: ['check echo']},
  {checks: proxy, after: ['check echo']},
  {checks: cni, after: ['check echo']},
  {checks: ambient, after: ['check echo']},
  {checks: mtls, after: ['check echo']}, // its connections would be mistaken for those of echo
  {checks: path, after: ['check mtls']},
  {checks: health, after: ['check echo']},
  {checks: http, after: ['check echo']},
  {checks: headless, after: ['check echo']},
  {checks: egress, after: ['check echo']},
  {checks: gateway, after: ['check mtls']}, // mtls waits until STRICT is in force
  {checks: dnsProxy, after: ['check echo']},
  {
    checks: failover,
    after: [
      ...[
        'check cluster',
        'check proxy',
        'check path',
        'check gateway',
        'check dns',
        'check control-plane'
      ],
      ...['check health', 'check http', 'check headless', 'check cni'] // use the pods with a blocked family, or compete for the CPU
    ]
  },
  {
    checks: xds, // once the proxies have received everything
    after: [
      'check failover',
      'check http',
      'check headless',
      'check egress',
      'check gateway',
      'check dns-proxy'
    ]
  },
  {checks: upgrade, after: ['check xds']}, // the operator removes an old revision some time after its last user
  {checks: uninstall, after: ['check xds', 'check upgrade']}
];

const all: Omit<LayerChecks<never>, 'run'>[] = [
  ...preflightChecks,
  ...standingChecks.map(({checks}) => checks),
  ...meshChecks.map(({checks}) => checks)
];

/** All checks, ordered by layer from the bottom up. */
export const catalogue: CheckDefinition[] = all
  .flatMap(({definitions, grid}) => definitions.map(check => ({...check, ...(grid && {grid})})))
  .sort((one, other) => layers.indexOf(one.layer) - layers.indexOf(other.layer));

type Pattern = {matches: RegExp; leaveOut: boolean} | null;

/** Returns a function that reports whether the `checks` input selects a check. */
export const createMatcher =
  (pattern: Pattern) =>
  ({id}: CheckDefinition): boolean =>
    pattern === null || pattern.matches.test(id) !== pattern.leaveOut;

/** The checks that the `checks` input selects. `uninstall` removes the mesh, so it must be named. */
export function selectDefinitions(pattern: Pattern): CheckDefinition[] {
  const isSelected = createMatcher(pattern);
  const uninstallToo = pattern?.matches.source.includes('uninstall') && !pattern.leaveOut;
  return catalogue.filter(
    check => isSelected(check) && (check.layer !== 'uninstall' || uninstallToo)
  );
}

/** The attribution of each layer's failures. */
export const layerAttributions = Object.fromEntries(
  all.map(({layer, attribution}) => [layer, attribution])
) as Record<Layer, LayerAttribution>;

/** The samples that these checks need in addition to the documented ones. */
export const collectSamples = (definitions: CheckDefinition[]): ExtraSample[] => {
  const needed = all.flatMap(({layer, samples = []}) =>
    samples.filter(({checkIdPrefix = ''}) =>
      definitions.some(check => check.layer === layer && check.id.startsWith(checkIdPrefix))
    )
  );
  return [...new Set(needed)]; // some layers share one
};
