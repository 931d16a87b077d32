import {getAddressFamily} from '../base/kube.ts';
import {apiGatewaySample} from '../manifests/gateway-api-sample.ts';
import {gatewayNamespace, gatewayPorts, renderGatewayYaml} from '../manifests/gateway-sample.ts';
import {families} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput
} from './definition.ts';
import {absent, clusterIp, lookUp, podIps} from './echo.ts';
import {gatewayApi, gatewayApiRows} from './gateway-api.ts';
import {plainClient} from './probe.ts';
import {type Proof, prove} from './prove.ts';
import {addressesOf, dump, envoy, type Listeners, listenerQuery} from './proxy.ts';
import {refuse, refused} from './refuse.ts';
import {askPages, host, type Page, reproducePage, statusesOf} from './web.ts';

const name = 'gateway';
const grid = {title: 'through a gateway', named: false};
const from = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};
const service = {kind: 'Service', namespace: gatewayNamespace, name};
const pod = {kind: 'Pod', namespace: gatewayNamespace, name};
const bound = 'its ports on 0.0.0.0 and ::';
const wildcards = [gatewayPorts.tcp, gatewayPorts.http].flatMap(port => [
  host('0.0.0.0', port),
  host('::', port)
]);

/** An ingress gateway, reached by a client without a sidecar; what is behind it takes mutual TLS alone. */
export const gateway: LayerChecks<MeshCheckInput> = {
  layer: 'gateway',
  attribution: {
    class: 'istio',
    hint: `See the listeners of the gateway (\`kubectl exec -n ${gatewayNamespace} deploy/${name} -- pilot-agent request GET listeners\`): each of its ports has 0.0.0.0 and [::].`,
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
        `The gateway pod's readiness answers over ${family}`,
        '200',
        {
          family,
          from,
          to: pod,
          grid,
          attribution: {
            hint: `The gateway does not answer its readiness probe on ${family}: see ISTIO_DUAL_STACK in it (\`kubectl exec -n ${gatewayNamespace} deploy/${name} -- env\`).`
          }
        }
      ),
      defineCheck(
        'gateway',
        `gateway/classic/${family}-closed`,
        `A port that no Gateway opens is refused on the ${family} ClusterIP`,
        refused,
        {
          family,
          from,
          to: service,
          attribution: {
            hint: 'Something else than a listener of the Gateway answers: what the other checks saw of the gateway proves nothing.',
            headline: 'The ingress gateway answers on a port that no Gateway opens'
          }
        }
      )
    ]),
    ...gatewayApiRows
  ],
  run: async (input, every) => {
    const ofApi = every.filter(check => gatewayApiRows.some(({id}) => id === check.id));
    const selected = every.filter(check => !ofApi.includes(check));
    const reached = selected.flatMap(check => located(input, check));
    const of = (...aspects: string[]) =>
      reached.filter(({row: check}) => aspects.includes(aspectOf(check)));
    await Promise.all([
      listeners(input, selected),
      prove(plainClient, of('', 'pod').map(proofOf(input)), input),
      refuse(plainClient, of('closed').map(proofOf(input)), input),
      pages(input, of('http', 'ready')),
      gatewayApi(input, ofApi)
    ]);
  }
};

/** `pod` of `gateway/classic/ipv4-pod`. */
const aspectOf = ({id}: CheckDefinition): string => id.split('/')[2]?.split('-')[1] ?? '';

interface Located {
  row: CheckDefinition;
  address: string;
}

/** A row with its address; one that should have one and has none has failed. */
function located(input: MeshCheckInput, check: CheckDefinition): Located[] {
  if (check.family === null) return [];
  const address =
    check.to?.kind === 'Pod'
      ? podIps(input, gatewayNamespace, name).find(ip => getAddressFamily(ip) === check.family)
      : clusterIp(input, gatewayNamespace, name, check.family);
  if (address !== undefined) return [{row: check, address}];
  input.report(check.id, absent(check));
  return [];
}

const proofOf =
  (input: MeshCheckInput) =>
  ({row: check, address}: Located): Proof => ({
    row: check,
    probe: {
      word: check.id,
      address,
      port: aspectOf(check) === 'closed' ? gatewayPorts.closed : gatewayPorts.tcp,
      lookUp: lookUp(input, check.to, address)
    },
    pods: podIps(input, gatewayNamespace, name)
  });

async function listeners(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const row = selected.find(({id}) => id.endsWith('/listeners'));
  if (row === undefined) return;
  const found = addressesOf(await dump<Listeners>(input, gatewayNamespace, name, listenerQuery));
  const missing = wildcards.filter(wildcard => !found.includes(wildcard));
  input.report(
    row.id,
    compare(bound, missing.length === 0 ? bound : `not on ${missing.join(', ')}`, {
      reproduce: envoy(gatewayNamespace, name, listenerQuery).join(' ')
    })
  );
}

async function pages(input: MeshCheckInput, reached: Located[]): Promise<void> {
  const asked: Page[] = reached.map(({row: check, address}) => ({
    url:
      aspectOf(check) === 'http'
        ? `http://${host(address, gatewayPorts.http)}/`
        : `http://${host(address, 15021)}/healthz/ready`
  }));
  const answers = await askPages(input, plainClient, asked);
  for (const [at, {row: check, address}] of reached.entries()) {
    const attempts = answers[at] ?? [];
    const observed = statusesOf(attempts);
    input.report(
      check.id,
      compare(check.expected, observed, {
        reason: observed === check.expected ? null : `${asked[at]?.url} gave ${observed}`,
        address,
        attempts,
        reproduce: reproducePage(
          plainClient,
          asked[at] ?? {url: ''},
          address,
          lookUp(input, check.to, address)
        )
      })
    );
  }
}
