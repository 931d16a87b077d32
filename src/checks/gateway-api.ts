/** Checks of a Gateway of the Gateway API over both families. */
import {getAddressFamily, getClusterIps, getPodIps} from '../base/kube.ts';
import {
  apiGateway as apiGatewayName,
  apiGatewayPort,
  apiGatewayStatus,
  generatedGatewayName
} from '../manifests/gateway-api-sample.ts';
import {gatewayNamespace} from '../manifests/gateway-sample.ts';
import {type Attempt, families} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {
  bothFamilies,
  buildGatewaySelector,
  checkServiceFamilies,
  type GeneratedGateway,
  waitForGateway
} from './generated-gateway.ts';
import {plainClient} from './probe.ts';
import {
  buildEnvoyCommand,
  type EnvoyListeners,
  fetchEnvoyDump,
  listenerQuery,
  listListenerAddresses
} from './proxy.ts';
import {settle} from './settle.ts';
import {fetchPages, formatHostPort, reproducePage, summarizeStatuses} from './web.ts';

const grid = {title: 'through a Gateway of the Gateway API', named: false};
const from = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};
const service = {kind: 'Service', namespace: gatewayNamespace, name: generatedGatewayName};
const deployment = {...service, kind: 'Deployment'};
const pod = {...service, kind: 'Pod'};
const bound = 'its port on 0.0.0.0 and ::';
const ids = {service: 'gateway/api/service', listeners: 'gateway/api/listeners'};
const selector = buildGatewaySelector(apiGatewayName);

const hint = `Read the status of the Gateway (\`kubectl get gateway -n ${gatewayNamespace} ${apiGatewayName} -o yaml\`), and the log of istiod, which creates its Deployment and Service.`;
const serviceHint = `Upgrade Istio if it is older than 1.24.0: it creates this Service as SingleStack (istio/istio#53245, fixed in 1.24.0). Otherwise check \`ipFamilyPolicy\` of the Service, and read the log of istiod, which creates it.`;

/** Checks of a Gateway of the Gateway API, for which istiod creates Deployment and Service. */
export const gatewayApiDefinitions: CheckDefinition[] = [
  defineCheck(
    'gateway',
    ids.service,
    'The Service that istiod creates for a Gateway of the Gateway API has both families',
    bothFamilies,
    {
      to: service,
      attribution: {
        hint: serviceHint,
        headline: 'The Service of a Gateway of the Gateway API lacks a family'
      }
    }
  ),
  defineCheck(
    'gateway',
    ids.listeners,
    'A Gateway of the Gateway API listens on both families',
    bound,
    {
      to: deployment,
      attribution: {
        hint: `Check the listeners of the Gateway (\`kubectl exec -n ${gatewayNamespace} deploy/${generatedGatewayName} -- pilot-agent request GET listeners\`). Each port needs 0.0.0.0 and [::].`
      }
    }
  ),
  ...families.flatMap(family => [
    defineCheck(
      'gateway',
      `gateway/api/${family}`,
      `A Gateway of the Gateway API answers HTTP on its ${family} ClusterIP`,
      `${apiGatewayStatus}`,
      {family, from, to: service, grid, attribution: {hint}}
    ),
    defineCheck(
      'gateway',
      `gateway/api/${family}-pod`,
      `A Gateway of the Gateway API answers HTTP on its pod's ${family} address`,
      `${apiGatewayStatus}`,
      {family, from, to: pod, grid, attribution: {hint}}
    )
  ])
];

/** Waits until istiod has created the Gateway's objects, or the limit expires; then runs the checks. */
export async function checkGatewayApi(
  input: MeshCheckInput,
  selected: CheckDefinition[]
): Promise<void> {
  if (selected.length === 0) return;
  const made = await waitForGateway(input, gatewayNamespace, apiGatewayName);
  await Promise.all([
    ...selected
      .filter(({id}) => id === ids.service)
      .map(({id}) =>
        input.report(id, checkServiceFamilies(made, gatewayNamespace, generatedGatewayName))
      ),
    ...selected.filter(({id}) => id === ids.listeners).map(({id}) => listeners(input, id, made)),
    pages(
      input,
      selected.filter(({family}) => family !== null),
      made
    )
  ]);
}

async function listeners(
  input: MeshCheckInput,
  id: string,
  {pod}: GeneratedGateway
): Promise<void> {
  const reproduce = buildEnvoyCommand(gatewayNamespace, generatedGatewayName, listenerQuery).join(
    ' '
  );
  const wildcards = ['0.0.0.0', '::'].map(address => formatHostPort(address, apiGatewayPort));
  const found = pod
    ? listListenerAddresses(
        await fetchEnvoyDump<EnvoyListeners>(
          input,
          gatewayNamespace,
          generatedGatewayName,
          listenerQuery
        )
      )
    : [];
  const missing = wildcards.filter(wildcard => !found.includes(wildcard));
  const observed = missing.length === 0 ? bound : `not on ${missing.join(', ')}`;
  input.report(id, compare(bound, pod ? observed : 'no pod that is ready', {reproduce}));
}

async function pages(
  input: MeshCheckInput,
  selected: CheckDefinition[],
  made: GeneratedGateway
): Promise<void> {
  const reached = selected.flatMap((check): Reached[] => {
    const ips = check.to?.kind === 'Pod' ? getPodIps(made.pod) : getClusterIps(made.service);
    const address = ips.find(ip => getAddressFamily(ip) === check.family);
    if (address !== undefined)
      return [
        {
          check,
          address,
          url: `http://${formatHostPort(address, apiGatewayPort)}/`,
          at: ips.indexOf(address)
        }
      ];
    input.report(check.id, {
      observed: check.to?.kind === 'Pod' ? 'no pod IP' : 'no ClusterIP',
      verdict: 'failed',
      reason: `the ${check.to?.kind} of Gateway ${gatewayNamespace}/${apiGatewayName} has no ${check.family} address`,
      ...(check.to?.kind === 'Service' && {attribution: {hint: serviceHint}}),
      reproduce: `kubectl get services,pods -n ${gatewayNamespace} -l ${selector} -o yaml`
    });
    return [];
  });
  // the Service is new, so kube-proxy may not have its rules yet
  await settle(input, reached, async open => {
    const answers = await fetchPages(input, plainClient, open);
    return open.map((question, at) => ({question, outcome: judge(question, answers[at] ?? [])}));
  });
}

interface Reached {
  check: CheckDefinition;
  address: string;
  url: string;
  /** The index of the address in the list of the Service or pod. */
  at: number;
}

function judge({check, address, url, at}: Reached, attempts: Attempt[]): Outcome {
  const observed = summarizeStatuses(attempts);
  const lookupCommand =
    check.to?.kind === 'Pod'
      ? `kubectl get pods -n ${gatewayNamespace} -l ${selector} -o jsonpath='{.items[0].status.podIPs[${at}].ip}'`
      : `kubectl get service ${generatedGatewayName} -n ${gatewayNamespace} -o jsonpath='{.spec.clusterIPs[${at}]}'`;
  return compare(check.expected, observed, {
    reason: observed === check.expected ? null : `${url} returned ${observed}`,
    address,
    attempts,
    reproduce: reproducePage(plainClient, {url}, address, lookupCommand)
  });
}
