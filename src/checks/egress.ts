/** Checks of ServiceEntries with addresses of both families. */
import {filterByKind, getAddressFamily} from '../base/kube.ts';
import {runOrThrow, runUntilComplete} from '../base/sh.ts';
import {plainNamespace} from '../manifests/documented-samples.ts';
import {
  egressNamespace,
  egressPorts,
  getExternalAddresses,
  httpAddresses,
  overlapName,
  overlapPort,
  rangeAddresses,
  renderEgressStaticYaml,
  renderEgressYaml,
  severalAddresses,
  staticAddresses,
  tlsHosts,
  tracerPort
} from '../manifests/egress-sample.ts';
import {type Attempt, type Family, families} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome
} from './definition.ts';
import {
  buildLookupCommand,
  createProofsAt,
  describeMissingAddress,
  findClusterIp,
  listPodIps
} from './echo.ts';
import {type Answer, type Client, type Probe, reproduceProbe, toAttempts} from './probe.ts';
import {type Proof, prove, settleProbes} from './prove.ts';
import {buildEnvoyCommand} from './proxy.ts';
import {noAnswer, proveNoAnswer} from './refuse.ts';
import {settleSeconds} from './settle.ts';
import {fetchPages, formatHostPort, type Page, reproducePage, summarizeStatuses} from './web.ts';

const client: Client = {namespace: egressNamespace, deployment: 'egress', container: 'sleep'};
const from = {kind: 'Deployment', namespace: client.namespace, name: client.deployment};
const grid = {title: 'ServiceEntry', named: true};
const entry = (name: string, namespace = egressNamespace) => ({
  from,
  to: {kind: 'ServiceEntry', namespace, name}
});

/** The external addresses in the patched ServiceEntry, beside the ClusterIPs. Nothing answers there before. */
const added = getExternalAddresses(31);

/** ServiceEntries whose endpoint name has records of only one family. */
const byName = [
  {target: 'dns-a', port: egressPorts.a, endpoint: 'ipv4'},
  {target: 'dns-aaaa', port: egressPorts.aaaa, endpoint: 'ipv6'}
] as const;

/** ServiceEntries with several addresses, each of which is probed: ranges, and single addresses with several endpoints. */
const manyAddresses = [
  {
    target: 'several',
    port: egressPorts.several,
    addresses: severalAddresses,
    title: 'address of a ServiceEntry with several addresses answers every probe'
  },
  {
    target: 'ranges',
    port: egressPorts.ranges,
    addresses: rangeAddresses,
    title: 'range of a ServiceEntry with several ranges has an address that answers'
  }
];
/** How many probes each address must answer: an intermittent fault was reported. */
const manyTimes = 10;
const ordinals = ['first', 'second'];

const tracer = 'egress/tracer/address';
const nodeAddress = "the node's address";
const tracerQuery = 'clusters?filter=datadog_agent';

const anyStatus = 'an HTTP status';
const knownLimitation = 'one of the two addresses is routed';

/** The attribution when a ServiceEntry overlaps a ClusterIP. */
const rejected = {
  hint: `Check whether the client's sidecar rejected an update (\`pilot-agent request GET stats?filter=update_rejected\` in it), and read the log of istiod. The addresses of a ServiceEntry overlap a ClusterIP.`
};

/** Checks of ServiceEntries from a client with REGISTRY_ONLY. They need no outside network. */
export const egress: LayerChecks<MeshCheckInput> = {
  layer: 'egress',
  attribution: {
    class: 'istio',
    hint: `Check the ServiceEntries (\`kubectl get serviceentries -A -o yaml\`), and the client's listeners (\`kubectl exec -n ${client.namespace} deploy/${client.deployment} -c istio-proxy -- pilot-agent request GET listeners\`).`,
    headline: family => `ServiceEntries do not carry ${family || 'both families'}`
  },
  samples: [
    {
      namespace: egressNamespace,
      sidecars: true,
      manifests: ({client}) => renderEgressYaml(client)
    },
    {namespace: plainNamespace, sidecars: false, manifests: renderEgressStaticYaml}
  ],
  definitions: [
    ...Object.keys(tlsHosts).flatMap(name =>
      families.map(family =>
        defineCheck(
          'egress',
          `egress/tls/${name}-${family}`,
          `TLS to host ${name} of two passes over ${family}`,
          anyStatus,
          {family, ...entry('tls'), grid}
        )
      )
    ),
    ...byName.flatMap(({target, endpoint}) =>
      families.map(family =>
        defineCheck(
          'egress',
          `egress/${target}/${family}`,
          `TCP to any ${family} address reaches an endpoint whose name has only ${endpoint}`,
          `hello egress/${target}/${family}`,
          {
            family,
            ...entry(target),
            grid,
            attribution: {
              hint: `Check dns_lookup_family of the client's cluster for this endpoint: in dual-stack it is ALL. Check that the client listens on 0.0.0.0 and [::] for this port.`
            }
          }
        )
      )
    ),
    ...families.map(family =>
      defineCheck(
        'egress',
        `egress/static/${family}`,
        `TCP to the ${family} address of a ServiceEntry with both reaches the selected pods`,
        `hello egress/static/${family}`,
        {family, ...entry('static', plainNamespace), grid}
      )
    ),
    ...manyAddresses.flatMap(({target, title}) =>
      families.flatMap(family =>
        ordinals.map(ordinal =>
          defineCheck(
            'egress',
            `egress/${target}/${family}-${ordinal}`,
            `The ${ordinal} ${family} ${title}`,
            `hello egress/${target}/${family}-${ordinal}`,
            {
              family,
              ...entry(target, target === 'ranges' ? plainNamespace : egressNamespace),
              grid,
              attribution: {
                hint: `Check the client's listeners: each address and each range of a ServiceEntry needs one (\`kubectl exec -n ${client.namespace} deploy/${client.deployment} -c istio-proxy -- pilot-agent request GET listeners\`).`
              }
            }
          )
        )
      )
    ),
    defineCheck(
      'egress',
      tracer,
      'The client’s proxy connects to a tracer at $(HOST_IP) by the address of the node',
      nodeAddress,
      {
        from,
        attribution: {
          hint: `Check the address in the proxy's bootstrap (\`kubectl exec -n ${client.namespace} deploy/${client.deployment} -c istio-proxy -- pilot-agent request GET '${tracerQuery}'\`). An IPv6 address before a port needs brackets.`,
          headline: 'A proxy has a wrong address for the tracer on its node'
        }
      }
    ),
    defineCheck(
      'egress',
      'egress/http/addresses',
      'Known limitation: Istio routes only one of two addresses of an HTTP host',
      knownLimitation,
      {
        ...entry('http'),
        attribution: {
          hint: 'Compare the result with istio/istio#56783: this Istio differs from its API reference on dual-stack addresses. If both addresses are routed, this check is out of date: open an issue at the Action.',
          headline:
            'Routing of a ServiceEntry with two HTTP addresses differs from the known limitation'
        }
      }
    ),
    ...families.flatMap(family => [
      defineCheck(
        'egress',
        `egress/overlap/${family}`,
        `An ${family} address answers that a ServiceEntry gains beside a ClusterIP`,
        `hello egress/overlap/${family}`,
        {family, ...entry(overlapName, plainNamespace), grid, attribution: rejected}
      ),
      defineCheck(
        'egress',
        `egress/overlap/${family}-cluster-ip`,
        `The ${family} ClusterIP still answers when a ServiceEntry also has it`,
        `hello egress/overlap/${family}-cluster-ip`,
        {
          family,
          from,
          to: {kind: 'Service', namespace: family, name: 'tcp-echo'},
          grid,
          attribution: rejected
        }
      )
    ]),
    ...families.map(family =>
      defineCheck(
        'egress',
        `egress/none/${family}`,
        `The client cannot reach an ${family} address without a ServiceEntry`,
        noAnswer,
        {
          family,
          from,
          to: {kind: 'Pod', namespace: plainNamespace, name: 'tcp-echo'},
          attribution: {
            hint: 'Check the Sidecar resource, and `outboundTrafficPolicy` in `istio-values`. The client reaches an address without a ServiceEntry, so the other checks of this layer prove nothing.',
            headline: 'REGISTRY_ONLY is not in force'
          }
        }
      )
    )
  ],
  run: async (input, selected) => {
    const of = (...targets: string[]) => selected.filter(({target}) => targets.includes(target));
    await Promise.all([
      prove(client, of('dns-a', 'dns-aaaa', 'static').map(createProof(input)), input),
      ...manyAddresses.map(({target}) =>
        prove(client, of(target).flatMap(manyProofs(input)), input)
      ),
      ...of('tracer').map(({id}) => traced(input, id)),
      proveNoAnswer(client, of('none').flatMap(outsider(input)), input),
      pages(input, of('tls'), of('http')),
      overlap(input, of('overlap'))
    ]);
  }
};

const getFamily = ({family}: CheckDefinition): Family => family ?? 'ipv4';

const createProof =
  (input: MeshCheckInput) =>
  (check: CheckDefinition): Proof => {
    const name = byName.find(({target}) => target === check.target);
    return {
      check,
      probe: {
        word: check.id,
        address: (name ? getExternalAddresses(1) : staticAddresses)[getFamily(check)],
        port: name?.port ?? egressPorts.static
      },
      pods: listPodIps(input, plainNamespace)
    };
  };

const manyProofs =
  (input: MeshCheckInput) =>
  (check: CheckDefinition): Proof[] =>
    manyAddresses
      .filter(({target}) => target === check.target)
      .flatMap(({target, port, addresses}) => {
        const at = ordinals.findIndex(ordinal => check.id.endsWith(`-${ordinal}`));
        const address = addresses[at]?.[getFamily(check)] ?? '';
        return [
          {
            check,
            probe: {word: check.id, address, port},
            // to their ClusterIPs, by name; or to pods that are selected
            pods:
              target === 'ranges'
                ? listPodIps(input, plainNamespace)
                : families.flatMap(
                    family => findClusterIp(input, family, 'tcp-echo', family) ?? []
                  ),
            ...(target === 'several' && {times: manyTimes})
          }
        ];
      });

/** Compares the tracer's address in the proxy with the addresses of the nodes. */
async function traced({sh, snapshot, report}: MeshCheckInput, id: string): Promise<void> {
  const command = buildEnvoyCommand(client.namespace, client.deployment, tracerQuery);
  const found = await runUntilComplete(
    sh,
    command,
    (output, isLast) => {
      const [, address] = /^datadog_agent::(\S+?)::(?:cx|rq)_/m.exec(output.stdout) ?? [];
      return address ?? (isLast && output.code === 0 ? 'no tracer' : null);
    },
    {seconds: 20}
  );
  const addresses = filterByKind(snapshot, 'Node').flatMap(({status}) =>
    (status.addresses ?? []).map(({address}) => formatHostPort(address, tracerPort))
  );
  report(
    id,
    compare(nodeAddress, addresses.includes(found) ? nodeAddress : found, {
      reproduce: command.join(' ')
    })
  );
}

/** The proof at the pod without a sidecar, which answers any client that reaches it. */
const outsider =
  (input: MeshCheckInput) =>
  (check: CheckDefinition): {check: CheckDefinition; probe: Probe}[] => {
    const address = listPodIps(input, plainNamespace).find(
      ip => getAddressFamily(ip) === check.family
    );
    return createProofsAt(input, check, address, 9000);
  };

/** Requests pages from the TLS hosts, and from the HTTP host by each of its addresses. */
async function pages(
  input: MeshCheckInput,
  tls: CheckDefinition[],
  http: CheckDefinition[]
): Promise<void> {
  const secured = tls.map((check): Page => {
    const name = check.id.includes('/one-') ? tlsHosts.one : tlsHosts.two;
    return {
      url: `https://${name}:${egressPorts.tls}/`,
      via: formatHostPort(getExternalAddresses(1)[getFamily(check)], egressPorts.tls)
    };
  });
  const plaintext = http.length === 0 ? [] : Object.values(httpAddresses).map(httpPage);
  const answers = await fetchPages(input, client, [...secured, ...plaintext]);
  for (const [at, check] of tls.entries())
    input.report(check.id, answered(check, secured[at] ?? {url: ''}, answers[at] ?? []));
  for (const {id} of http)
    input.report(id, limitation(answers.slice(tls.length).map(summarizeStatuses)));
}

const httpPage = (address: string): Page => ({
  url: `http://${formatHostPort(address, egressPorts.http)}/`
});

/** Passes with any HTTP status: it proves that a TLS server answered through the ServiceEntry. */
function answered(check: CheckDefinition, page: Page, attempts: Attempt[]): Outcome {
  const observed = summarizeStatuses(attempts);
  const passed = !observed.includes('no answer');
  return {
    observed: passed ? anyStatus : observed,
    verdict: passed ? 'passed' : 'failed',
    reason: passed ? null : `${page.via} returned ${observed} for ${page.url}`,
    address: getExternalAddresses(1)[getFamily(check)],
    attempts,
    reproduce: reproducePage(client, page)
  };
}

/** Skipped while the limitation of the API reference applies; failed when Istio behaves differently. */
function limitation(statuses: string[]): Outcome {
  const asKnown = statuses.filter(status => status === '200').length === 1; // which of the two, varies
  const said = Object.values(httpAddresses)
    .map((address, at) => `${address}: ${statuses[at]}`)
    .join('; ');
  return {
    observed: asKnown ? knownLimitation : said,
    verdict: asKnown ? 'skipped' : 'failed',
    reason: asKnown
      ? `Istio does not support two addresses of an HTTP host (istio/istio#56783): ${said}`
      : `${said}; the known limitation is that ${knownLimitation}`,
    reproduce: reproducePage(client, httpPage(httpAddresses.ipv4))
  };
}

/** Patches the ServiceEntry to overlap ClusterIPs, and probes until the result settles. */
async function overlap(input: MeshCheckInput, selected: CheckDefinition[]): Promise<void> {
  if (selected.length === 0) return;
  const taken = Object.fromEntries(
    families.map(family => [family, findClusterIp(input, family, 'tcp-echo', family)])
  );
  const proofs = selected.flatMap(check => {
    const address = check.id.endsWith('-cluster-ip')
      ? taken[getFamily(check)]
      : added[getFamily(check)];
    if (address !== undefined)
      return [
        {
          check,
          probe: {
            word: check.id,
            address,
            port: overlapPort,
            ...(check.to?.kind === 'Service' && {
              lookupCommand: buildLookupCommand(input, check.to, address)
            })
          }
        }
      ];
    input.report(check.id, describeMissingAddress(check));
    return [];
  });
  await runOrThrow(input.sh, buildPatchCommand(taken), {seconds: 20});
  await settleProbes(client, proofs, input, (proof, answers) => overlapped(input, proof, answers));
}

/** Returns the command that adds these ClusterIPs to the ServiceEntry, each beside an unused address. */
export function buildPatchCommand(clusterIps: Partial<Record<Family, string>>): string[] {
  const addresses = families.flatMap(family => [clusterIps[family] ?? [], added[family]].flat());
  return [
    ...['kubectl', 'patch', 'serviceentry', overlapName, '--namespace', plainNamespace],
    ...['--type', 'merge', '--patch', JSON.stringify({spec: {addresses}})]
  ];
}

function overlapped(
  input: MeshCheckInput,
  {check, probe}: {check: CheckDefinition; probe: Probe},
  answers: Answer[]
): Outcome {
  const wrong = answers.find(({text}) => text !== check.expected);
  const observed = wrong ? wrong.text || 'no answer' : check.expected;
  return {
    observed,
    verdict: wrong ? 'failed' : 'passed',
    reason: wrong
      ? `${probe.address} port ${probe.port} returned ${observed} ${settleSeconds} s after it was added to the ServiceEntry`
      : null,
    address: probe.address,
    upstream: upstream(input, answers),
    attempts: toAttempts(answers),
    reproduce: reproduceProbe(client, probe)
  };
}

/** The pods at the other end of the connections. */
function upstream(input: MeshCheckInput, answers: Answer[]): string | null {
  const pods = listPodIps(input, plainNamespace);
  const taken = answers.flatMap(({peers}) => peers).filter(peer => pods.includes(peer));
  return [...new Set(taken)].join(', ') || null;
}
