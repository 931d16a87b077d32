import {filterByKind, type Pod} from '../base/kube.ts';
import {type CommandOutput, runUntilComplete, type Sh} from '../base/sh.ts';
import {documentedSamples} from '../manifests/documented-samples.ts';
import type {Plan} from '../plan/plan.ts';
import {defineCheck, type LayerChecks, type MeshCheckInput, type Outcome} from './definition.ts';

/** What each proxy counts of itself; Istio's proxies keep no such count of their routes, which istiod does. */
const counters = ['cluster_manager.cds.update_rejected', 'listener_manager.lds.update_rejected'];
const query = 'stats?filter=update_rejected';
const ids = {others: 'xds/others/rejected', istiod: 'xds/istiod/rejects'};
const nothingRejected = 'nothing rejected';

/** istiod's own counts, by way of the API server. */
export const buildMetricsCommand = ({namespace, istiod}: Plan['istio']): string[] => [
  ...['kubectl', 'get', '--raw'],
  `/api/v1/namespaces/${namespace}/services/${istiod}:15014/proxy/metrics`
];

/** Asked last, when the proxies have been told of all that there is; told low, because what is rejected explains what is above. */
export const xds: LayerChecks<MeshCheckInput> = {
  layer: 'xds',
  attribution: {
    class: 'istio',
    hint: 'Istiod made a configuration that Envoy cannot take: the log of that proxy, and of istiod, has the reason after `ACK ERROR` or `rejected` (diagnostics/).',
    headline: () => 'A proxy rejects what istiod tells it'
  },
  definitions: [
    ...documentedSamples.map(({namespace, app}) =>
      defineCheck(
        'xds',
        `xds/${namespace}/rejected`,
        'The proxy has rejected nothing that istiod told it',
        nothingRejected,
        {
          to: {kind: 'Deployment', namespace, name: app}
        }
      )
    ),
    defineCheck(
      'xds',
      ids.others,
      'No other proxy of the checks has rejected anything',
      nothingRejected
    ),
    defineCheck(
      'xds',
      ids.istiod,
      'Istiod counts no configuration that was rejected',
      nothingRejected,
      {
        to: {kind: 'Deployment', namespace: 'istio-system', name: 'istiod'}
      }
    )
  ],
  run: async ({sh, snapshot, plan, report}, selected) => {
    const ours = new Set(
      [...plan.workloads, ...plan.extraWorkloads].map(({namespace}) => namespace)
    ); // a cluster that was there has others, and many
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

/** The pods with a sidecar that are not the documentation's samples. */
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

/** Something was written; what is missing of it is told by the row. */
const whole = ({code, stdout}: CommandOutput, isLast: boolean): string | null =>
  code === 0 && (isLast || stdout.trim() !== '') ? stdout : null;

/** What one proxy has rejected, with its name. */
async function rejected(sh: Sh, proxy: string[]): Promise<string> {
  const text = await runUntilComplete(sh, command(proxy), whole, {seconds: 20});
  const counts = new Map(
    [...text.matchAll(/^(\S+update_rejected): (\d+)$/gm)].map(([, name = '', count]) => [
      name,
      Number(count)
    ])
  );
  const said = [
    ...counters.filter(name => !counts.has(name)).map(name => `${name} is not counted`), // silence is no proof
    ...[...counts].filter(([, count]) => count > 0).map(([name, count]) => `${name}: ${count}`)
  ];
  return said.length === 0 ? nothingRejected : `${proxy.slice(1).join('/')}: ${said.join(', ')}`;
}

/** What istiod counts, of every proxy and every kind; what is 0 it leaves out. */
function rejects(text: string, metrics: string[]): Outcome {
  const counts = [...text.matchAll(/^pilot_total_xds_rejects\{([^}\n]{0,1000})\} (\S+)$/gm)]
    .filter(([, , count]) => Number(count) > 0)
    .map(([, labels, count]) => `pilot_total_xds_rejects{${labels}} ${count}`);
  const hasNoCounts = !/^pilot_xds_pushes\{/m.test(text); // what it always counts, once it has told anybody anything
  return judge(hasNoCounts ? 'no counts of istiod' : counts.join(', '), metrics);
}

const judge = (wrong: string, shown: string[]): Outcome => ({
  observed: wrong || nothingRejected,
  verdict: wrong === '' ? 'passed' : 'failed',
  reason: wrong || null,
  reproduce: shown.map(word => (word === query ? `'${word}'` : word)).join(' ')
});
