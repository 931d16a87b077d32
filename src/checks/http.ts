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

/** By whom the server's sidecar says that it was asked: only over a route there is mutual TLS, and with it a name. */
const answeredToMesh = `200, asked by ${clientSample.namespace}`;
const answeredToUnknown = '200, asked by nobody known';

/** How often each address must answer. */
const times = 5;

const domainsId = `http/${webApp}/domains`;
const allDomains = 'its ClusterIPs';
const routes = [
  ...['kubectl', 'exec', '--namespace', clientSample.namespace, `deployment/${clientSample.app}`],
  ...['--container', 'istio-proxy', '--', 'pilot-agent', 'request', 'GET'],
  `config_dump?resource=dynamic_route_configs&name_regex=^${webPort}$`
];

/** The parts of Envoy's dump of its routes that we look at. */
interface Routes {
  configs?: {route_config?: {virtual_hosts?: {name: string; domains: string[]}[]}}[];
}

/** HTTP goes by routes, and what no route has by a passthrough that has no mutual TLS. */
export const http: LayerChecks<MeshCheckInput> = {
  layer: 'http',
  grid: {title: 'HTTP', named: false},
  attribution: {
    class: 'istio',
    hint: `See the route ${webPort} of the client's proxy in diagnostics/: what is not among its domains is passed through, without mutual TLS, and refused.`,
    headline: family => `HTTP is not routed${family && ` over ${family}`}`,
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
      'An HTTP Service answers by name, by its route',
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
        `An HTTP Service answers by its ${family} ClusterIP, by its route`,
        answeredToMesh,
        {family, from: mesh, to}
      ),
      defineCheck(
        'http',
        `http/${webApp}/${family}-denied`,
        `A policy denies over ${family} what only another namespace may ask`,
        '403',
        {
          family,
          from: mesh,
          to,
          attribution: {
            hint: `See the AuthorizationPolicy \`dual-stack-check\` in ${webNamespace}, and the listeners of that pod's sidecar on port 15006.`,
            headline: `An AuthorizationPolicy does not hold over ${familyNames[family]}`
          }
        }
      ),
      defineCheck(
        'http',
        `http/${webApp}/${family}-refused`,
        `Without a sidecar, the STRICT port is refused over ${family}`,
        'no answer',
        {
          family,
          from: plain,
          to: pod,
          attribution: {
            hint: `The pod's ${family} traffic does not go through its sidecar: see ISTIO_DUAL_STACK in the proxy, and its listeners on port 15006.`,
            headline: `Plain HTTP passes over ${familyNames[family]} although STRICT was asked for`
          }
        }
      ),
      defineCheck(
        'http',
        `http/${webApp}/${family}-control`,
        `Without a sidecar, the open port still answers over ${family}`,
        answeredToUnknown,
        {family, from: plain, to: pod}
      )
    ]),
    defineCheck(
      'http',
      domainsId,
      'The route of the client has the ClusterIPs of both families',
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
    // until the policies are in force, an answer says nothing
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

/** A policy takes a moment to be in force: asked until it is. */
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
    reason: passed ? null : `${url} gave ${observed}, expected ${check.expected}`,
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
  return namespace === undefined ? answeredToUnknown : `200, asked by ${namespace}`;
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
        ? 'no ClusterIP of one family'
        : missing.length > 0
          ? `not for ${missing.join(', ')}`
          : allDomains;
  input.report(
    check.id,
    compare(allDomains, observed, {
      reproduce: routes.map(word => (word.includes('?') ? `'${word}'` : word)).join(' ')
    })
  );
}
