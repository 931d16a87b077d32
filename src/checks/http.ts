/** Checks of HTTP: routes, an AuthorizationPolicy, and STRICT mutual TLS over each family. */
import {filterByKind, getAddressFamily} from '../base/kube.ts';
import {runJson} from '../base/sh.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {
  openPort,
  paths,
  webApp,
  webHeaders,
  webNamespace,
  webPort,
  webSample
} from '../manifests/web-sample.ts';
import {families, familyNames} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome,
  skip
} from './definition.ts';
import {
  buildLookupCommand,
  describeMissingAddress,
  diagnoseWithoutSidecar,
  findClusterIp,
  listPodIps
} from './echo.ts';
import {noWebServerReason} from './health.ts';
import {type Client, meshClient, plainClient} from './probe.ts';
import {
  buildUrl,
  type HttpResponse,
  reproduceRequest,
  sendRequests,
  toAttempts
} from './request.ts';
import {type QuestionOutcome, settle} from './settle.ts';

const mesh = {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app};
const plain = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};
const to = {kind: 'Service', namespace: webNamespace, name: webApp};
const pod = {kind: 'Pod', namespace: webNamespace, name: webApp};

/** The client identity that the server's sidecar reports: only a route uses mutual TLS, which carries an identity. */
const answeredToMesh = `200, client identity ${clientSample.namespace}`;
const answeredToUnknown = '200, no client identity';

/** Number of responses that each address must return. */
const times = 5;

const domainsId = `http/${webApp}/domains`;
const allDomains = 'its ClusterIPs';
const routes = [
  ...['kubectl', 'exec', '--namespace', clientSample.namespace, `deployment/${clientSample.app}`],
  ...['--container', 'istio-proxy', '--', 'pilot-agent', 'request', 'GET'],
  `config_dump?resource=dynamic_route_configs&name_regex=^${webPort}$`
];

/** The parts of Envoy's route dump that these checks read. */
interface Routes {
  configs?: {route_config?: {virtual_hosts?: {name: string; domains: string[]}[]}}[];
}

/** Envoy sends HTTP by its routes. A request without a route passes through, without mutual TLS. */
export const http: LayerChecks<MeshCheckInput> = {
  layer: 'http',
  grid: {title: 'HTTP', named: false},
  attribution: {
    class: 'istio',
    hint: `Check the domains of route ${webPort} of the client's proxy in diagnostics/. Envoy passes other hosts through without mutual TLS, and a STRICT server refuses them.`,
    headline: family => `HTTP routing fails${family && ` over ${family}`}`,
    evidence: (failed, all) =>
      failed.id.endsWith('-refused') || failed.id === domainsId
        ? {}
        : diagnoseWithoutSidecar(failed, all, 'http')
  },
  samples: [webSample],
  definitions: [
    defineCheck(
      'http',
      `http/${webApp}/name`,
      'A request to the name of an HTTP Service uses its route',
      answeredToMesh,
      {
        from: mesh,
        to
      }
    ),
    ...families.flatMap(family => [
      defineCheck(
        'http',
        `http/${webApp}/${family}`,
        `A request to the ${family} ClusterIP of an HTTP Service uses its route`,
        answeredToMesh,
        {family, from: mesh, to}
      ),
      defineCheck(
        'http',
        `http/${webApp}/${family}-denied`,
        `An AuthorizationPolicy denies the path for another namespace over ${family}`,
        '403',
        {
          family,
          from: mesh,
          to,
          attribution: {
            hint: `Check the AuthorizationPolicy \`dual-stack-check\` in namespace ${webNamespace}, and the listeners of the server pod's sidecar on port 15006.`,
            headline: `An AuthorizationPolicy is not enforced over ${familyNames[family]}`
          }
        }
      ),
      defineCheck(
        'http',
        `http/${webApp}/${family}-refused`,
        `The STRICT port refuses a client without a sidecar over ${family}`,
        'no answer',
        {
          family,
          from: plain,
          to: pod,
          attribution: {
            hint: `The ${familyNames[family]} traffic of the pod bypasses its sidecar, or mutual TLS is not enforced. Check ISTIO_DUAL_STACK in the proxy, its listeners on port 15006, and the PeerAuthentication.`,
            headline: `A port with STRICT mutual TLS answers plain HTTP over ${familyNames[family]}`
          }
        }
      ),
      defineCheck(
        'http',
        `http/${webApp}/${family}-control`,
        `The open port answers a client without a sidecar over ${family}`,
        answeredToUnknown,
        {family, from: plain, to: pod}
      )
    ]),
    defineCheck(
      'http',
      domainsId,
      "The client's route lists the ClusterIPs of both families",
      allDomains,
      {from: mesh, to}
    )
  ],
  run: async (input, selected) => {
    if (filterByKind(input.snapshot, 'Service', webNamespace).length === 0) {
      for (const {id} of selected) input.report(id, skip(noWebServerReason));
      return;
    }
    const questions = selected.flatMap(check => buildQuestions(input, check));
    // until the policies are in force, a response proves nothing
    await Promise.all([
      settleRequests(input, meshClient, questions.filter(ends('-denied'))),
      settleRequests(input, plainClient, questions.filter(ends('-refused')))
    ]);
    const rest = questions.filter(one => !ends('-denied')(one) && !ends('-refused')(one));
    await Promise.all([
      answered(
        input,
        meshClient,
        rest.filter(({check}) => check.from === mesh)
      ),
      answered(
        input,
        plainClient,
        rest.filter(({check}) => check.from === plain)
      ),
      ...selected.filter(({id}) => id === domainsId).map(check => domains(input, check))
    ]);
  }
};

interface Question {
  check: CheckDefinition;
  url: string;
  address: string | null;
}

const ends =
  (aspect: string) =>
  ({check}: Question): boolean =>
    check.id.endsWith(aspect);

function buildQuestions(input: MeshCheckInput, check: CheckDefinition): Question[] {
  if (check.id === domainsId) return [];
  const {family, id} = check;
  if (family === null)
    return [
      {check, url: buildUrl(`${webApp}.${webNamespace}`, webPort, paths.allowed), address: null}
    ];
  const address =
    check.from === plain
      ? listPodIps(input, webNamespace, webApp).find(ip => getAddressFamily(ip) === family)
      : findClusterIp(input, webNamespace, webApp, family);
  if (address === undefined) {
    input.report(id, describeMissingAddress(check));
    return [];
  }
  const port = id.endsWith('-control') ? openPort : webPort;
  const path = id.endsWith('-denied') ? paths.othersOnly : paths.allowed;
  return [{check, url: buildUrl(address, port, path), address}];
}

/** Repeats requests until the policy is in force, which takes a moment. */
async function settleRequests(
  input: MeshCheckInput,
  asker: Client,
  all: Question[]
): Promise<void> {
  await settle(input, all, open => requestAll(input, asker, open, 1, 1));
}

async function answered(
  input: MeshCheckInput,
  asker: Client,
  questions: Question[]
): Promise<void> {
  if (questions.length === 0) return;
  const found = await requestAll(input, asker, questions, times, input.plan.probes.seconds);
  for (const {question, outcome} of found) input.report(question.check.id, outcome);
}

async function requestAll(
  input: MeshCheckInput,
  asker: Client,
  questions: Question[],
  times: number,
  seconds: number
): Promise<QuestionOutcome<Question>[]> {
  const urls = questions.map(({url}) => url);
  const said = await sendRequests(input, asker, urls, times, seconds);
  return questions.map((question, at) => ({
    question,
    outcome: judge(input, asker, question, said[at] ?? [])
  }));
}

function judge(
  input: MeshCheckInput,
  asker: Client,
  {check, url, address}: Question,
  responses: HttpResponse[]
): Outcome {
  const said = responses.map(describeAnswer);
  const observed = said.find(text => text !== check.expected) ?? check.expected;
  const upstreams = [
    ...new Set(responses.flatMap(({headers}) => headers[webHeaders.address] ?? []))
  ];
  const passed = observed === check.expected;
  return {
    observed,
    verdict: passed ? 'passed' : 'failed',
    reason: passed ? null : `${url} returned ${observed}, expected ${check.expected}`,
    address,
    upstream: upstreams.join(', ') || null,
    attempts: toAttempts(responses, describeAnswer),
    reproduce: reproduceRequest(
      asker,
      url,
      address,
      address === null ? '' : buildLookupCommand(input, check.to, address)
    )
  };
}

function describeAnswer({status, headers}: HttpResponse): string {
  if (status === null) return 'no answer';
  if (status !== 200) return `${status}`;
  const [, namespace] =
    /URI=spiffe:\/\/[^/;]+\/ns\/([^/;]+)\//.exec(headers[webHeaders.client] ?? '') ?? [];
  return namespace === undefined ? answeredToUnknown : `200, client identity ${namespace}`;
}

async function domains(input: MeshCheckInput, check: CheckDefinition): Promise<void> {
  const {configs = []} = (await runJson(input.sh, routes, {seconds: 20})) as Routes;
  const host = `${webApp}.${webNamespace}.svc.cluster.local:${webPort}`;
  const found = configs
    .flatMap(({route_config}) => route_config?.virtual_hosts ?? [])
    .find(({name}) => name === host);
  const wanted = families.flatMap(family => {
    const address = findClusterIp(input, webNamespace, webApp, family);
    return address === undefined ? [] : [family === 'ipv6' ? `[${address}]` : address];
  });
  const missing = wanted.filter(address => !found?.domains.includes(address));
  const observed =
    found === undefined
      ? `no route for ${host}`
      : wanted.length < families.length
        ? 'a ClusterIP of one family is missing'
        : missing.length > 0
          ? `no domain for ${missing.join(', ')}`
          : allDomains;
  input.report(
    check.id,
    compare(allDomains, observed, {
      reproduce: routes.map(word => (word.includes('?') ? `'${word}'` : word)).join(' ')
    })
  );
}
