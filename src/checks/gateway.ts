/** Checks of ingress gateways over both families. */
import {filterByKind, findByFamily, getAddressFamily, getClusterIps} from '../base/kube.ts';
import {apiGatewaySample} from '../manifests/gateway-api-sample.ts';
import {gatewayNamespace, gatewayPorts, renderGatewayYaml} from '../manifests/gateway-sample.ts';
import {families, familyNames} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {buildLookupCommand, describeMissingAddress, findClusterIp, listPodIps} from './echo.ts';
import {checkGatewayApi, gatewayApiDefinitions} from './gateway-api.ts';
import {plainClient} from './probe.ts';
import {type Proof, prove} from './prove.ts';
import {
  buildEnvoyCommand,
  type EnvoyListeners,
  fetchEnvoyDump,
  listenerQuery,
  listListenerAddresses
} from './proxy.ts';
import {noAnswer, proveNoAnswer} from './refuse.ts';
import {fetchPages, formatHostPort, type Page, reproducePage, summarizeStatuses} from './web.ts';

const name = 'gateway';
const grid = {title: 'through a gateway', named: false};
const from = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};
const service = {kind: 'Service', namespace: gatewayNamespace, name};
const pod = {kind: 'Pod', namespace: gatewayNamespace, name};
const bound = 'its ports on 0.0.0.0 and ::';
const wildcards = [gatewayPorts.tcp, gatewayPorts.http].flatMap(port => [
  formatHostPort('0.0.0.0', port),
  formatHostPort('::', port)
]);

/** Checks of an ingress gateway from a client without a sidecar. The server behind it accepts only mutual TLS. */
export const gateway: LayerChecks<MeshCheckInput> = {
  layer: 'gateway',
  attribution: {
    class: 'istio',
    hint: `Check the listeners of the gateway (\`kubectl exec -n ${gatewayNamespace} deploy/${name} -- pilot-agent request GET listeners\`). Each port needs 0.0.0.0 and [::].`,
    headline: family => `The ingress gateway does not carry ${family || 'both families'}`
  },
  samples: [
    {namespace: gatewayNamespace, sidecars: true, manifests: renderGatewayYaml},
    apiGatewaySample
  ],
  definitions: [
    defineCheck(
      'gateway',
      'gateway/classic/listeners',
      'The gateway listens on both families, on each port of its Gateway',
      bound,
      {to: {...pod, kind: 'Deployment'}}
    ),
    ...families.flatMap(family => [
      defineCheck(
        'gateway',
        `gateway/classic/${family}`,
        `Through the gateway's ${family} ClusterIP the STRICT port answers`,
        `hello gateway/classic/${family}`,
        {family, from, to: service, grid}
      ),
      defineCheck(
        'gateway',
        `gateway/classic/${family}-pod`,
        `Through the gateway pod's ${family} address the STRICT port answers`,
        `hello gateway/classic/${family}-pod`,
        {family, from, to: pod, grid}
      ),
      defineCheck(
        'gateway',
        `gateway/classic/${family}-http`,
        `The gateway answers HTTP on its ${family} ClusterIP`,
        '200',
        {family, from, to: service, grid}
      ),
      defineCheck(
        'gateway',
        `gateway/classic/${family}-ready`,
        `The gateway pod's readiness endpoint answers over ${family}`,
        '200',
        {
          family,
          from,
          to: pod,
          grid,
          attribution: {
            hint: `Check ISTIO_DUAL_STACK in the gateway, whose readiness endpoint must answer over ${family} (\`kubectl exec -n ${gatewayNamespace} deploy/${name} -- env\`).`
          }
        }
      ),
      defineCheck(
        'gateway',
        `gateway/classic/${family}-closed`,
        `The ${family} ClusterIP refuses connections on a port that no Gateway opens`,
        noAnswer,
        {
          family,
          from,
          to: service,
          attribution: {
            hint: 'Find the program that answers on this port. It is not a listener of the Gateway, so the other checks of the gateway prove nothing.',
            headline: 'The ingress gateway answers on a port that no Gateway opens'
          }
        }
      )
    ]),
    ...gatewayApiDefinitions
  ],
  run: async (input, every) => {
    const ofApi = every.filter(check => gatewayApiDefinitions.some(({id}) => id === check.id));
    const selected = every.filter(check => !ofApi.includes(check));
    const reached = selected.flatMap(check => located(input, check));
    const of = (...aspects: string[]) =>
      reached.filter(({check}) => aspects.includes(getAspect(check)));
    await Promise.all([
      listeners(input, selected),
      prove(plainClient, of('', 'pod').map(createProof(input)), input),
      proveNoAnswer(plainClient, of('closed').map(createProof(input)), input),
      pages(input, of('http', 'ready')),
      checkGatewayApi(input, ofApi)
    ]);
  }
};

/** Returns the aspect in an id: `pod` of `gateway/classic/ipv4-pod`. */
const getAspect = ({id}: CheckDefinition): string => id.split('/')[2]?.split('-')[1] ?? '';

interface Located {
  check: CheckDefinition;
  address: string;
}

/** Returns a check with its address. Without an address, reports the failure and returns an empty list. */
function located(input: MeshCheckInput, check: CheckDefinition): Located[] {
  if (check.family === null) return [];
  const address =
    check.to?.kind === 'Pod'
      ? listPodIps(input, gatewayNamespace, name).find(ip => getAddressFamily(ip) === check.family)
      : findClusterIp(input, gatewayNamespace, name, check.family);
  if (address !== undefined) return [{check, address}];
  input.report(check.id, describeMissingGatewayAddress(input, check));
  return [];
}

/** The failure of a gateway without an address. Envoy is not involved yet, so the hint is about the Service. */
function describeMissingGatewayAddress(
  {snapshot}: MeshCheckInput,
  check: CheckDefinition
): Outcome {
  const outcome = describeMissingAddress(check);
  const own = filterByKind(snapshot, 'Service', gatewayNamespace).find(
    ({metadata}) => metadata.name === name
  );
  const present = families.find(family => findByFamily(getClusterIps(own), family));
  if (check.family === null || check.to?.kind !== 'Service' || present === undefined)
    return outcome;
  return {
    ...outcome,
    reason: `Service ${gatewayNamespace}/${name} has only ${familyNames[present]}`,
    attribution: {
      headline: `The Service of the ingress gateway has no ${familyNames[check.family]} ClusterIP`,
      hint: `Set \`ipFamilyPolicy: RequireDualStack\` in Service ${gatewayNamespace}/${name}. It has only ${familyNames[present]}.`
    }
  };
}

const createProof =
  (input: MeshCheckInput) =>
  ({check, address}: Located): Proof => ({
    check,
    probe: {
      word: check.id,
      address,
      port: getAspect(check) === 'closed' ? gatewayPorts.closed : gatewayPorts.tcp,
      lookupCommand: buildLookupCommand(input, check.to, address)
    },
    pods: listPodIps(input, gatewayNamespace, name)
  });

async function listeners(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const check = selected.find(({id}) => id.endsWith('/listeners'));
  if (check === undefined) return;
  const found = listListenerAddresses(
    await fetchEnvoyDump<EnvoyListeners>(input, gatewayNamespace, name, listenerQuery)
  );
  const missing = wildcards.filter(wildcard => !found.includes(wildcard));
  input.report(
    check.id,
    compare(bound, missing.length === 0 ? bound : `not on ${missing.join(', ')}`, {
      reproduce: buildEnvoyCommand(gatewayNamespace, name, listenerQuery).join(' ')
    })
  );
}

async function pages(input: MeshCheckInput, reached: Located[]): Promise<void> {
  const requestedPages: Page[] = reached.map(({check, address}) => ({
    url:
      getAspect(check) === 'http'
        ? `http://${formatHostPort(address, gatewayPorts.http)}/`
        : `http://${formatHostPort(address, 15021)}/healthz/ready`
  }));
  const answers = await fetchPages(input, plainClient, requestedPages);
  for (const [at, {check, address}] of reached.entries()) {
    const attempts = answers[at] ?? [];
    const observed = summarizeStatuses(attempts);
    input.report(
      check.id,
      compare(check.expected, observed, {
        reason:
          observed === check.expected ? null : `${requestedPages[at]?.url} returned ${observed}`,
        address,
        attempts,
        reproduce: reproducePage(
          plainClient,
          requestedPages[at] ?? {url: ''},
          address,
          buildLookupCommand(input, check.to, address)
        )
      })
    );
  }
}
