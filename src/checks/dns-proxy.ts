/** Checks of DNS through a client's sidecar. */
import {lt} from 'semver';
import {filterByKind, findByFamily, getPodIps} from '../base/kube.ts';
import {allocated, dnsProxyNamespace, renderDnsProxyYaml} from '../manifests/dns-proxy-sample.ts';
import {plainNamespace, serverSamples} from '../manifests/documented-samples.ts';
import {
  replicas,
  statefulApp,
  statefulNamespace,
  statefulSample
} from '../manifests/headless-sample.ts';
import type {Family} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  skip
} from './definition.ts';
import {
  type DnsQuestion,
  getDnsName,
  hasFamily,
  recordTypes,
  reproduceQuestion,
  resolveNames
} from './dns.ts';
import {findClusterIp, listPodIps} from './echo.ts';
import {type Client, plainClient} from './probe.ts';
import {prove} from './prove.ts';

const client: Client = {
  namespace: dnsProxyNamespace,
  deployment: 'dns-proxy',
  container: 'sleep'
};
const from = {kind: 'Deployment', namespace: client.namespace, name: client.deployment};
const toHost = {kind: 'ServiceEntry', namespace: dnsProxyNamespace, name: 'allocated'};
const host = `${allocated.host}.`;
const oneOfFamily = 'one address';

/** The last pod: the headless layer replaces the first. */
const podName = `${statefulApp}-${replicas - 1}`;
const podHost = `${podName}.${statefulApp}.${statefulNamespace}.svc.cluster.local.`;
const podTarget = 'stateful';

/** Checks of the DNS proxy in a client's sidecar. */
export const dnsProxy: LayerChecks<MeshCheckInput> = {
  layer: 'dns-proxy',
  attribution: {
    class: 'istio',
    hint: `Check ISTIO_META_DNS_CAPTURE in the sidecar (\`kubectl exec -n ${client.namespace} deploy/${client.deployment} -c istio-proxy -- env\`). Read the logs of the sidecar and of istiod. The sidecar resolves names that istiod sends, and forwards others to the cluster's DNS.`,
    headline: family =>
      `A sidecar with DNS capture does not resolve ${family || 'both families'} correctly`
  },
  samples: [
    {
      namespace: dnsProxyNamespace,
      sidecars: true,
      manifests: ({client}) => renderDnsProxyYaml(client)
    },
    statefulSample
  ],
  definitions: [
    ...serverSamples.flatMap(({namespace: target}) =>
      recordTypes.map(({type, family}) =>
        defineCheck(
          'dns-proxy',
          `dns-proxy/${target}/${type}`,
          `The sidecar returns ${hasFamily(target, family) ? 'the' : 'no'} ${type.toUpperCase()} record of ${getDnsName(target)}`,
          hasFamily(target, family) ? 'its ClusterIP' : 'none',
          {family, from, to: {kind: 'Service', namespace: target, name: 'tcp-echo'}}
        )
      )
    ),
    ...recordTypes.map(({type, family}) =>
      defineCheck(
        'dns-proxy',
        `dns-proxy/${podTarget}/${type}`,
        `The sidecar returns the ${type.toUpperCase()} record of a pod of a StatefulSet`,
        'its pod IP',
        {family, from, to: {kind: 'Pod', namespace: statefulNamespace, name: podName}}
      )
    ),
    ...recordTypes.flatMap(({type, family}) => [
      defineCheck(
        'dns-proxy',
        `dns-proxy/allocated/${type}`,
        `A host of a ServiceEntry has one ${type.toUpperCase()} record, which istiod allocated`,
        oneOfFamily,
        {
          family,
          from,
          to: toHost,
          attribution: {
            hint: 'Check `status.addresses`, where istiod allocates an address of each family (`kubectl get serviceentry -n dns-proxy allocated -o yaml`).'
          }
        }
      ),
      defineCheck(
        'dns-proxy',
        `dns-proxy/allocated/${family}`,
        `The ${family} address that istiod allocated answers`,
        `hello dns-proxy/allocated/${family}`,
        {family, from, to: toHost, grid: {title: 'address that istiod allocated', named: false}}
      )
    ]),
    defineCheck(
      'dns-proxy',
      'dns-proxy/allocated/uncaptured',
      'Without a sidecar, this host has no address: only the sidecar resolves it',
      'none',
      {
        from: {
          kind: 'Deployment',
          namespace: plainClient.namespace,
          name: plainClient.deployment
        },
        to: toHost,
        attribution: {
          class: 'infrastructure',
          hint: `The cluster's DNS resolves ${allocated.host}, a reserved name (RFC 6761). Check the servers that it forwards to.`,
          headline: 'The cluster’s DNS resolves a reserved name'
        }
      }
    )
  ],
  run: async (input, selected) => {
    const {expected} = input.plan.istio;
    const early = expected !== null && lt(expected, allocatesFrom);
    const unmade = selected.filter(({target}) => early && target === 'allocated');
    for (const {id} of unmade)
      input.report(
        id,
        skip(
          `Istio ${expected} allocates no addresses by default: this begins with ${allocatesFrom}`
        )
      );
    const made = selected.filter(one => !unmade.includes(one));
    await Promise.all([captured(input, made), uncaptured(input, made)]);
  }
};

/** The first release with PILOT_ENABLE_IP_AUTOALLOCATE on by default (tried: 1.25.1 allocates, 1.23.5 does not). */
const allocatesFrom = '1.25.0';

const buildQuestion = ({id, target}: CheckDefinition): DnsQuestion => ({
  type: id.split('/')[2] ?? '',
  name: target === 'allocated' ? host : target === podTarget ? podHost : getDnsName(target)
});

/** Resolves names through the sidecar, then probes the addresses of the allocated host. */
async function captured(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const dialled = selected.filter(({id}) => /^dns-proxy\/allocated\/ipv[46]$/.test(id));
  const told = selected.filter(check => check.from === from && !dialled.includes(check));
  const questions = [
    ...told.map(buildQuestion),
    ...(dialled.length > 0 ? recordTypes.map(({type}) => ({type, name: host})) : [])
  ];
  if (questions.length === 0) return;
  const answers = await resolveNames(input, client, questions);
  for (const [at, check] of told.entries()) {
    const observed = observe(input, check, answers[at]);
    const question = questions[at] ?? {type: '', name: ''};
    input.report(
      check.id,
      compare(check.expected, observed, {
        address: check.target === 'allocated' ? (answers[at] ?? null) : null,
        reproduce: reproduceQuestion(client, question)
      })
    );
  }
  const addresses = answers.slice(told.length).flatMap(answer => answer?.split(' ') ?? []);
  const proofs = dialled.flatMap(check => {
    const address = findByFamily(
      addresses.filter(one => one !== ''),
      check.family ?? 'ipv4'
    );
    if (address !== undefined)
      return [
        {
          check,
          probe: {word: check.id, address, port: allocated.port},
          pods: listPodIps(input, plainNamespace)
        }
      ];
    input.report(check.id, {
      observed: 'no address',
      verdict: 'failed',
      reason: `the sidecar returned no ${check.family} address for ${host}`,
      reproduce: reproduceQuestion(client, {
        type: check.family === 'ipv6' ? 'aaaa' : 'a',
        name: host
      })
    });
    return [];
  });
  await prove(client, proofs, input);
}

function observe(
  input: MeshCheckInput,
  {target, family}: CheckDefinition,
  answer: string | undefined
): string {
  if (answer === undefined) return 'no answer';
  if (answer === '') return 'none';
  const addresses = answer.split(' ');
  const wanted = family ?? 'ipv4';
  if (target === 'allocated')
    return addresses.length === 1 && findByFamily(addresses, wanted) ? oneOfFamily : answer;
  if (target === podTarget) return answer === findPodIp(input, wanted) ? 'its pod IP' : answer;
  return answer === findClusterIp(input, target, 'tcp-echo', wanted) ? 'its ClusterIP' : answer;
}

/** The address of one family of the StatefulSet's last pod. */
function findPodIp({snapshot}: MeshCheckInput, family: Family): string | undefined {
  const pod = filterByKind(snapshot, 'Pod', statefulNamespace).find(
    ({metadata}) => metadata.name === podName
  );
  return findByFamily(getPodIps(pod), family);
}

async function uncaptured(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  const check = selected.find(({id}) => id.endsWith('/uncaptured'));
  if (check === undefined) return;
  const question = {type: 'a', name: host};
  const [answer] = await resolveNames(input, plainClient, [question]);
  input.report(
    check.id,
    compare('none', answer === undefined ? 'no answer' : answer || 'none', {
      reproduce: reproduceQuestion(plainClient, question)
    })
  );
}
