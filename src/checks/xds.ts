/** Checks that no proxy rejected configuration from istiod. */
import {filterByKind, type Pod} from '../base/kube.ts';
import {type CommandOutput, runUntilComplete, type Sh} from '../base/sh.ts';
import {documentedSamples} from '../manifests/documented-samples.ts';
import type {Plan} from '../plan/plan.ts';
import {defineCheck, type LayerChecks, type MeshCheckInput, type Outcome} from './definition.ts';

/** Counters of each proxy. Istio's proxies do not count rejected routes; istiod does. */
const counters = ['cluster_manager.cds.update_rejected', 'listener_manager.lds.update_rejected'];
const query = 'stats?filter=update_rejected';
const ids = {others: 'xds/others/rejected', istiod: 'xds/istiod/rejects'};
const nothingRejected = 'nothing rejected';

/** The command that reads istiod's metrics through the API server. */
export const buildMetricsCommand = ({namespace, istiod}: Plan['istio']): string[] => [
  ...['kubectl', 'get', '--raw'],
  `/api/v1/namespaces/${namespace}/services/${istiod}:15014/proxy/metrics`
];

/** Runs last, when the proxies have received all configuration. Its layer is low, because a rejection explains failures of higher layers. */
export const xds: LayerChecks<MeshCheckInput> = {
  layer: 'xds',
  attribution: {
    class: 'istio',
    hint: 'Read the reason in the logs of that proxy and of istiod (diagnostics/), after `ACK ERROR` or `rejected`.',
    headline: () => 'A proxy rejected configuration from istiod'
  },
  definitions: [
    ...documentedSamples.map(({namespace, app}) =>
      defineCheck(
        'xds',
        `xds/${namespace}/rejected`,
        'The proxy has rejected no configuration from istiod',
        nothingRejected,
        {
          to: {kind: 'Deployment', namespace, name: app}
        }
      )
    ),
    defineCheck(
      'xds',
      ids.others,
      'No other proxy of the checks has rejected configuration',
      nothingRejected
    ),
    defineCheck('xds', ids.istiod, 'istiod counts no rejected configuration', nothingRejected, {
      to: {kind: 'Deployment', namespace: 'istio-system', name: 'istiod'}
    })
  ],
  run: async ({sh, snapshot, plan, report}, selected) => {
    const ours = new Set(
      [...plan.workloads, ...plan.extraWorkloads].map(({namespace}) => namespace)
    ); // an existing cluster can have many other proxies
    const others = listOtherProxies(
      filterByKind(snapshot, 'Pod').filter(({metadata}) => ours.has(metadata.namespace))
    );
    await Promise.all(
      selected.map(async ({id, to}) => {
        if (id === ids.istiod) {
          const metrics = buildMetricsCommand(plan.istio);
          return report(
            id,
            rejects(await runUntilComplete(sh, metrics, whole, {seconds: 20}), metrics)
          );
        }
        const proxies = id === ids.others ? others : [buildDeploymentArgs(to?.namespace, to?.name)];
        const said = await Promise.all(proxies.map(proxy => rejected(sh, proxy)));
        const wrong = said.filter(text => text !== nothingRejected);
        const at = said.findIndex(text => text !== nothingRejected);
        return report(id, judge(wrong.join('; '), command(proxies[Math.max(at, 0)] ?? [])));
      })
    );
  }
};

const buildDeploymentArgs = (namespace = '', app = ''): string[] => [
  '--namespace',
  namespace,
  `deployment/${app}`
];

/** Lists the pods with a sidecar that are not documented samples. */
function listOtherProxies(pods: Pod[]): string[][] {
  return pods
    .filter(({metadata, spec}) => {
      const known = documentedSamples.some(
        ({namespace, app}) => namespace === metadata.namespace && app === metadata.labels?.app
      );
      const containers = [...(spec.initContainers ?? []), ...spec.containers];
      return !known && containers.some(({name}) => name === 'istio-proxy');
    })
    .map(({metadata}) => ['--namespace', metadata.namespace, `pod/${metadata.name}`]);
}

const command = (proxy: string[]): string[] => [
  ...['kubectl', 'exec', ...proxy, '--container', 'istio-proxy', '--'],
  ...['pilot-agent', 'request', 'GET', query]
];

/** Accepts any output; the check reports missing counters. */
const whole = ({code, stdout}: CommandOutput, isLast: boolean): string | null =>
  code === 0 && (isLast || stdout.trim() !== '') ? stdout : null;

/** Returns what one proxy has rejected, with its name. Throws CommandError. */
async function rejected(sh: Sh, proxy: string[]): Promise<string> {
  const text = await runUntilComplete(sh, command(proxy), whole, {seconds: 20});
  const counts = new Map(
    [...text.matchAll(/^(\S+update_rejected): (\d+)$/gm)].map(([, name = '', count]) => [
      name,
      Number(count)
    ])
  );
  const said = [
    ...counters.filter(name => !counts.has(name)).map(name => `${name} is missing`), // a missing counter proves nothing
    ...[...counts].filter(([, count]) => count > 0).map(([name, count]) => `${name}: ${count}`)
  ];
  return said.length === 0 ? nothingRejected : `${proxy.slice(1).join('/')}: ${said.join(', ')}`;
}

/** Judges istiod's counters for every proxy and resource type; istiod omits those that are 0. */
function rejects(text: string, metrics: string[]): Outcome {
  const counts = [...text.matchAll(/^pilot_total_xds_rejects\{([^}\n]{0,1000})\} (\S+)$/gm)]
    .filter(([, , count]) => Number(count) > 0)
    .map(([, labels, count]) => `pilot_total_xds_rejects{${labels}} ${count}`);
  const hasNoCounts = !/^pilot_xds_pushes\{/m.test(text); // present after the first push
  return judge(hasNoCounts ? 'no metrics from istiod' : counts.join(', '), metrics);
}

const judge = (wrong: string, shown: string[]): Outcome => ({
  observed: wrong || nothingRejected,
  verdict: wrong === '' ? 'passed' : 'failed',
  reason: wrong || null,
  reproduce: shown.map(word => (word === query ? `'${word}'` : word)).join(' ')
});
