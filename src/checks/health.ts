/** Checks of the health and metrics endpoints of sidecars over both families. */
import {filterByKind, getAddressFamily, isReady, type Pod} from '../base/kube.ts';
import {webApp, webNamespace, webSample} from '../manifests/web-sample.ts';
import {type Family, families} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  skip
} from './definition.ts';
import {buildLookupCommand, describeMissingAddress, listPodIps} from './echo.ts';
import {plainClient} from './probe.ts';
import {
  buildUrl,
  describeResponse,
  reproduceRequest,
  sendRequests,
  statusWithMetrics,
  toAttempts
} from './request.ts';

const from = {
  kind: 'Deployment',
  namespace: plainClient.namespace,
  name: plainClient.deployment
};
const servers = {
  'dual-stack': {kind: 'Pod', namespace: 'dual-stack', name: 'tcp-echo'},
  [webApp]: {kind: 'Pod', namespace: webNamespace, name: webApp}
};

/** A request to each pod IP. Kubernetes and Prometheus use only the pod's first address. */
interface Question {
  target: keyof typeof servers;
  aspect: string;
  title: string;
  port: number;
  path: string;
  expected: string;
  hint: string;
}

const listeners =
  'Check `ISTIO_DUAL_STACK` in the proxy, and the listeners in diagnostics/. The proxy and its agent must listen on both families.';
const probes =
  'Check `ISTIO_KUBE_APP_PROBERS` in the sidecar, its log, and whether the agent listens on both families. The agent answers probes for the application.';

const questions: Question[] = [
  {
    target: 'dual-stack',
    aspect: 'merged-metrics',
    title: 'Port 15020 returns the metrics of agent and proxy',
    port: 15020,
    path: '/stats/prometheus',
    expected: statusWithMetrics,
    hint: 'Read the log of the agent, and check that agent and proxy listen on both families. The agent merges metrics that it fetches from the proxy on port 15090.'
  },
  {
    target: 'dual-stack',
    aspect: 'ready',
    title: 'Port 15021 reports that the proxy is ready',
    port: 15021,
    path: '/healthz/ready',
    expected: '200',
    hint: listeners
  },
  {
    target: 'dual-stack',
    aspect: 'metrics',
    title: 'Port 15090 returns the metrics of the proxy',
    port: 15090,
    path: '/stats/prometheus',
    expected: statusWithMetrics,
    hint: listeners
  },
  ...(
    [
      ['http-readiness', 'httpGet readiness', `${webApp}/readyz`, '200'],
      ['http-liveness', 'httpGet liveness', `${webApp}/livez`, '200'],
      ['tcp-readiness', 'tcpSocket readiness', 'tcp-echo/readyz', '200'],
      ['grpc-startup', 'gRPC startup', `${webApp}/startupz`, '200'],
      ['unknown', 'a probe that no container has', 'tcp-echo/livez', '400']
    ] as const
  ).map(([aspect, title, path, expected]) => ({
    target: webApp as keyof typeof servers,
    aspect,
    title:
      expected === '200'
        ? `The agent answers the rewritten probe: ${title}`
        : `The agent rejects ${title}`,
    port: 15020,
    path: `/app-health/${path}`,
    expected,
    hint: probes
  }))
];

const rewritten = `health/${webApp}/rewritten`;
const buildCheckId = ({target, aspect}: Question, family: Family): string =>
  `health/${target}/${family}-${aspect}`;

/** Checks of the endpoints that kubelet and Prometheus use, on each address of a pod. */
export const health: LayerChecks<MeshCheckInput> = {
  layer: 'health',
  attribution: {
    class: 'istio',
    hint: listeners,
    headline: family => `Health and metrics endpoints fail${family && ` over ${family}`}`
  },
  samples: [webSample],
  definitions: [
    ...questions.flatMap(question =>
      families.map(family =>
        defineCheck('health', buildCheckId(question, family), question.title, question.expected, {
          family,
          from,
          to: servers[question.target],
          attribution: {hint: question.hint}
        })
      )
    ),
    defineCheck(
      'health',
      rewritten,
      'The probes of an application are rewritten to the agent, and succeed',
      'Ready by rewritten probes',
      {
        to: {kind: 'Deployment', namespace: webNamespace, name: webApp},
        attribution: {
          hint: 'Check the probes of the pod (`kubectl get pods -n http -o yaml`), and `rewriteAppHTTPProbe` in `istio-values`.',
          headline: 'The probes of an application are not rewritten, or fail'
        }
      }
    )
  ],
  run: async (input, selected) => {
    const [own] = filterByKind(input.snapshot, 'Pod', webNamespace);
    const [there, gone] = own
      ? [selected, []]
      : [
          selected.filter(({target}) => target !== webApp),
          selected.filter(({target}) => target === webApp)
        ];
    for (const {id} of gone) input.report(id, skip(noWebServerReason));
    if (own && selected.some(({id}) => id === rewritten))
      input.report(
        rewritten,
        compare('Ready by rewritten probes', describeProbes(own), {reproduce})
      );
    await requestEach(input, there);
  }
};

/** The reason why the checks of the web server do not run. */
export const noWebServerReason =
  "the chart does not name the proxy's image, which the web server needs";

const reproduce = `kubectl get pods -n ${webNamespace} -l app=${webApp} -o yaml`;

function describeProbes(pod: Pod): string {
  if (!isReady(pod)) return pod.status.phase;
  const left = pod.spec.containers
    .filter(({name}) => [webApp, 'tcp-echo'].includes(name))
    .flatMap(({name, readinessProbe, livenessProbe, startupProbe}) => [
      {name, probe: readinessProbe},
      ...[livenessProbe, startupProbe].flatMap(probe => (probe ? [{name, probe}] : []))
    ])
    .filter(({probe}) => !probe?.httpGet?.path?.startsWith('/app-health/'));
  return left.length === 0
    ? 'Ready by rewritten probes'
    : `a probe of ${left.map(({name}) => name).join(', ')} not rewritten`;
}

/** Sends all requests in one call, from the client without a sidecar. */
async function requestEach(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const addressed = selected.flatMap(check => {
    const question = questions.find(one =>
      families.some(family => buildCheckId(one, family) === check.id)
    );
    if (!question) return [];
    const {namespace, name} = servers[question.target];
    const address = listPodIps(input, namespace, name).find(
      ip => getAddressFamily(ip) === check.family
    );
    if (address === undefined) input.report(check.id, describeMissingAddress(check));
    return address === undefined ? [] : [{check, question, address}];
  });
  if (addressed.length === 0) return;
  const urls = addressed.map(({question, address}) =>
    buildUrl(address, question.port, question.path)
  );
  const said = await sendRequests(input, plainClient, urls, 1, input.plan.probes.seconds);
  for (const [at, {check, address}] of addressed.entries()) {
    const responses = said[at] ?? [];
    const observed = responses.map(describeResponse).at(-1) ?? 'no answer';
    const url = urls[at] ?? '';
    const outcome = compare(check.expected, observed, {
      address,
      attempts: toAttempts(responses, describeResponse),
      reproduce: reproduceRequest(
        plainClient,
        url,
        address,
        buildLookupCommand(input, check.to, address)
      )
    });
    input.report(check.id, {
      ...outcome,
      ...(outcome.reason && {reason: `${url} returned ${outcome.reason}`})
    });
  }
}
