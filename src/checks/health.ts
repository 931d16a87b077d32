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
import {absent, lookUp, podIps} from './echo.ts';
import {plainClient} from './probe.ts';
import {answerOf, attemptsOf, reproduceRequest, request, urlOf, withMetrics} from './request.ts';

const from = {
  kind: 'Deployment',
  namespace: plainClient.namespace,
  name: plainClient.deployment
};
const servers = {
  'dual-stack': {kind: 'Pod', namespace: 'dual-stack', name: 'tcp-echo'},
  [webApp]: {kind: 'Pod', namespace: webNamespace, name: webApp}
};

/** What is asked of each pod IP: Kubernetes and Prometheus ask the pod's first address only. */
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
  'The proxy or its agent listens on one family only there: see `ISTIO_DUAL_STACK` in that proxy, and the listeners in diagnostics/.';
const probes =
  "The agent answers an application's probes in its place: see `ISTIO_KUBE_APP_PROBERS` in the sidecar, its log, and whether the agent listens on both families.";

const questions: Question[] = [
  {
    target: 'dual-stack',
    aspect: 'merged-metrics',
    title: 'Port 15020 gives the metrics of agent and proxy',
    port: 15020,
    path: '/stats/prometheus',
    expected: withMetrics,
    hint: 'The agent merges metrics that it fetches from the proxy on port 15090: see its log, and whether both listen on both families.'
  },
  {
    target: 'dual-stack',
    aspect: 'ready',
    title: 'Port 15021 says that the proxy is ready',
    port: 15021,
    path: '/healthz/ready',
    expected: '200',
    hint: listeners
  },
  {
    target: 'dual-stack',
    aspect: 'metrics',
    title: 'Port 15090 gives the metrics of the proxy',
    port: 15090,
    path: '/stats/prometheus',
    expected: withMetrics,
    hint: listeners
  },
  ...(
    [
      ['http-readiness', 'An httpGet readiness probe', `${webApp}/readyz`, '200'],
      ['http-liveness', 'An httpGet liveness probe', `${webApp}/livez`, '200'],
      ['tcp-readiness', 'A tcpSocket readiness probe', 'tcp-echo/readyz', '200'],
      ['grpc-startup', 'A gRPC startup probe', `${webApp}/startupz`, '200'],
      ['unknown', 'A probe that no container has', 'tcp-echo/livez', '400']
    ] as const
  ).map(([aspect, title, path, expected]) => ({
    target: webApp as keyof typeof servers,
    aspect,
    title:
      expected === '200'
        ? `${title}, rewritten, is answered by the agent`
        : `${title} is refused by the agent`,
    port: 15020,
    path: `/app-health/${path}`,
    expected,
    hint: probes
  }))
];

const rewritten = `health/${webApp}/rewritten`;
const idOf = ({target, aspect}: Question, family: Family): string =>
  `health/${target}/${family}-${aspect}`;

/** What kubelet and Prometheus ask for, on each address of a pod; the kubelet itself only ever asks the first. */
export const health: LayerChecks<MeshCheckInput> = {
  layer: 'health',
  attribution: {
    class: 'istio',
    hint: listeners,
    headline: family => `Health and metrics do not answer${family && ` over ${family}`}`
  },
  samples: [webSample],
  definitions: [
    ...questions.flatMap(question =>
      families.map(family =>
        defineCheck('health', idOf(question, family), question.title, question.expected, {
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
      'The probes of an application are rewritten to the agent, and hold',
      'Ready by rewritten probes',
      {
        to: {kind: 'Deployment', namespace: webNamespace, name: webApp},
        attribution: {
          hint: 'See the probes of that pod (`kubectl get pods -n http -o yaml`), and `rewriteAppHTTPProbe` in `istio-values`.',
          headline: 'The probes of an application are not rewritten, or do not hold'
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
    for (const {id} of gone) input.report(id, skip(noWeb));
    if (own && selected.some(({id}) => id === rewritten))
      input.report(rewritten, compare('Ready by rewritten probes', probesOf(own), {reproduce}));
    await askEach(input, there);
  }
};

/** Why the checks of the web server are not made. */
export const noWeb = "the chart does not tell the proxy's image, of which the web server is made";

const reproduce = `kubectl get pods -n ${webNamespace} -l app=${webApp} -o yaml`;

function probesOf(pod: Pod): string {
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
    : `a probe of ${left.map(({name}) => name).join(', ')} as it was`;
}

/** All at once, by the client without a sidecar. */
async function askEach(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const addressed = selected.flatMap(check => {
    const question = questions.find(one => families.some(family => idOf(one, family) === check.id));
    if (!question) return [];
    const {namespace, name} = servers[question.target];
    const address = podIps(input, namespace, name).find(
      ip => getAddressFamily(ip) === check.family
    );
    if (address === undefined) input.report(check.id, absent(check));
    return address === undefined ? [] : [{row: check, question, address}];
  });
  if (addressed.length === 0) return;
  const urls = addressed.map(({question, address}) => urlOf(address, question.port, question.path));
  const said = await request(input, plainClient, urls, 1, input.plan.probes.seconds);
  for (const [at, {row: check, address}] of addressed.entries()) {
    const responses = said[at] ?? [];
    const observed = responses.map(answerOf).at(-1) ?? 'no answer';
    const url = urls[at] ?? '';
    const finding = compare(check.expected, observed, {
      address,
      attempts: attemptsOf(responses, answerOf),
      reproduce: reproduceRequest(plainClient, url, address, lookUp(input, check.to, address))
    });
    input.report(check.id, {
      ...finding,
      ...(finding.reason && {reason: `${url} gave ${finding.reason}`})
    });
  }
}
