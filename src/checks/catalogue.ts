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

/** Made before the cluster is; a failure ends the run. */
export const preflightChecks: LayerChecks<PreflightInput>[] = [runner, network];

/** Made as soon as the phase named has passed; a failure of `fatal` ones ends the run, before the operator starts. */
export const standingChecks: {
  checks: LayerChecks<StandingCheckInput>;
  needs: string[];
  fatal: boolean;
}[] = [
  {checks: node, needs: ['cluster', 'api'], fatal: true},
  {checks: operator, needs: ['uncordon'], fatal: false},
  {checks: docs, needs: ['name'], fatal: false}
];

/** Made once the samples are ready; `after` are phases that would disturb them, or that they would. */
export const meshChecks: {checks: LayerChecks<MeshCheckInput>; after: string[]}[] = [
  {checks: workload, after: []},
  {checks: service, after: []},
  {checks: endpoints, after: []},
  {checks: echo, after: []},
  {checks: controlPlane, after: ['mesh', 'check echo']}, // what the documentation asks is answered first
  {checks: dns, after: ['check echo']},
  {checks: cluster, after: ['check echo']},
  {checks: proxy, after: ['check echo']},
  {checks: cni, after: ['check echo']},
  {checks: ambient, after: ['check echo']},
  {checks: mtls, after: ['check echo']}, // its connections would be taken for those of the echo
  {checks: path, after: ['check mtls']},
  {checks: health, after: ['check echo']},
  {checks: http, after: ['check echo']},
  {checks: headless, after: ['check echo']},
  {checks: egress, after: ['check echo']},
  {checks: gateway, after: ['check mtls']}, // which has waited until STRICT is in force
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
      ...['check health', 'check http', 'check headless', 'check cni'] // ask pods whose family is cut, or keep the processors from it
    ]
  },
  {
    checks: xds, // when the proxies were told of everything
    after: [
      'check failover',
      'check http',
      'check headless',
      'check egress',
      'check gateway',
      'check dns-proxy'
    ]
  },
  {checks: upgrade, after: ['check xds']}, // the operator removes an old revision some time after the last who used it
  {checks: uninstall, after: ['check xds', 'check upgrade']}
];

const all: Omit<LayerChecks<never>, 'run'>[] = [
  ...preflightChecks,
  ...standingChecks.map(({checks}) => checks),
  ...meshChecks.map(({checks}) => checks)
];

/** Every check, from the ground up. */
export const catalogue: CheckDefinition[] = all
  .flatMap(({definitions, grid}) => definitions.map(check => ({...check, ...(grid && {grid})})))
  .sort((one, other) => layers.indexOf(one.layer) - layers.indexOf(other.layer));

type Pattern = {matches: RegExp; leaveOut: boolean} | null;

/** Whether the `checks` input asks for a row. */
export const createMatcher =
  (pattern: Pattern) =>
  ({id}: CheckDefinition): boolean =>
    pattern === null || pattern.matches.test(id) !== pattern.leaveOut;

/** The checks that the `checks` input asks for; what takes the mesh away, only when it is named. */
export function selectDefinitions(pattern: Pattern): CheckDefinition[] {
  const isSelected = createMatcher(pattern);
  const uninstallToo = pattern?.matches.source.includes('uninstall') && !pattern.leaveOut;
  return catalogue.filter(
    check => isSelected(check) && (check.layer !== 'uninstall' || uninstallToo)
  );
}

/** What is told when a layer does not hold. */
export const layerAttributions = Object.fromEntries(
  all.map(({layer, attribution}) => [layer, attribution])
) as Record<Layer, LayerAttribution>;

/** What these checks need in the cluster beside the documentation's samples. */
export const collectSamples = (definitions: CheckDefinition[]): ExtraSample[] => {
  const needed = all.flatMap(({layer, samples = []}) =>
    samples.filter(({checkIdPrefix = ''}) =>
      definitions.some(check => check.layer === layer && check.id.startsWith(checkIdPrefix))
    )
  );
  return [...new Set(needed)]; // some layers share one
};
