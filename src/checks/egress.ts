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

/** What the ServiceEntry takes beside the ClusterIPs, once it is patched: nothing answers there before. */
const added = getExternalAddresses(31);

/** What a name that has records of one family alone is for. */
const byName = [
  {target: 'dns-a', port: egressPorts.a, endpoint: 'ipv4'},
  {target: 'dns-aaaa', port: egressPorts.aaaa, endpoint: 'ipv6'}
] as const;

/** Each of their addresses is asked: ranges, and single ones with several endpoints behind them. */
const manyAddresses = [
  {
    target: 'several',
    port: egressPorts.several,
    addresses: severalAddresses,
    title: 'address of a ServiceEntry with several answers, each time'
  },
  {
    target: 'ranges',
    port: egressPorts.ranges,
    addresses: rangeAddresses,
    title: 'range of a ServiceEntry with several has an address that answers'
  }
];
/** How often each address of several must answer: a fault was reported that came now and then. */
const manyTimes = 10;
const ordinals = ['first', 'second'];

const tracer = 'egress/tracer/address';
const nodeAddress = "the node's address";
const tracerQuery = 'clusters?filter=datadog_agent';

const anyStatus = 'an HTTP status';
const knownLimitation = 'one address of the two is routed';

/** What is told when a ServiceEntry takes what is another's. */
const rejected = {
  hint: `A ServiceEntry's addresses overlap a ClusterIP, and the client does not follow: see \`pilot-agent request GET stats?filter=update_rejected\` in its sidecar, and the log of istiod.`
};

/** ServiceEntries, asked by a client that may reach what the registry has and nothing else. No outside network is needed. */
export const egress: LayerChecks<MeshCheckInput> = {
  layer: 'egress',
  attribution: {
    class: 'istio',
    hint: `See the ServiceEntries (\`kubectl get serviceentries -A -o yaml\`), and the client's listeners (\`kubectl exec -n ${client.namespace} deploy/${client.deployment} -c istio-proxy -- pilot-agent request GET listeners\`).`,
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
          `TLS to host ${name} of two is let through over ${family}`,
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
          `TCP to any ${family} address goes to an endpoint whose name has ${endpoint} alone`,
          `hello egress/${target}/${family}`,
          {
            family,
            ...entry(target),
            grid,
            attribution: {
              hint: `The client listens on 0.0.0.0 and [::] for that port, and resolves the endpoint's name in ${endpoint} too: see dns_lookup_family of its cluster, which is ALL in dual-stack.`
            }
          }
        )
      )
    ),
    ...families.map(family =>
      defineCheck(
        'egress',
        `egress/static/${family}`,
        `TCP to the ${family} one of two addresses goes to the pods that are selected`,
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
                hint: `Each address of a ServiceEntry has a listener of its own, and a range has one too: see those of the client (\`kubectl exec -n ${client.namespace} deploy/${client.deployment} -c istio-proxy -- pilot-agent request GET listeners\`).`
              }
            }
          )
        )
      )
    ),
    defineCheck(
      'egress',
      tracer,
      'A tracer at $(HOST_IP) is looked for at the address of the node, by the client’s proxy',
      nodeAddress,
      {
        from,
        attribution: {
          hint: `See the address in the proxy's bootstrap (\`kubectl exec -n ${client.namespace} deploy/${client.deployment} -c istio-proxy -- pilot-agent request GET '${tracerQuery}'\`): an IPv6 address before a port needs brackets.`,
          headline: 'A proxy does not look for its tracer on its node'
        }
      }
    ),
    defineCheck(
      'egress',
      'egress/http/addresses',
      'Known limitation: an HTTP host has two addresses, and one of them is routed',
      knownLimitation,
      {
        ...entry('http'),
        attribution: {
          hint: 'This Istio does otherwise than its API reference says of dual-stack addresses (istio/istio#56783): if both are routed now, what is known has changed, and this check is to be changed with it.',
          headline: 'A ServiceEntry with two HTTP addresses is not routed as it is known to be'
        }
      }
    ),
    ...families.flatMap(family => [
      defineCheck(
        'egress',
        `egress/overlap/${family}`,
        `An ${family} address that a ServiceEntry gains beside a ClusterIP answers`,
        `hello egress/overlap/${family}`,
        {family, ...entry(overlapName, plainNamespace), grid, attribution: rejected}
      ),
      defineCheck(
        'egress',
        `egress/overlap/${family}-cluster-ip`,
        `The ${family} ClusterIP that a ServiceEntry has taken too still answers`,
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
        `An ${family} address of no ServiceEntry is refused`,
        noAnswer,
        {
          family,
          from,
          to: {kind: 'Pod', namespace: plainNamespace, name: 'tcp-echo'},
          attribution: {
            hint: 'What no ServiceEntry names is let through, so the others prove nothing: see the Sidecar resource, and `outboundTrafficPolicy` in `istio-values`.',
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

/** Where the proxy would send its spans: the address that the kubelet has for the node, the first of its family. */
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

/** The pod without a sidecar, which answers whoever reaches it. */
const outsider =
  (input: MeshCheckInput) =>
  (check: CheckDefinition): {check: CheckDefinition; probe: Probe}[] => {
    const address = listPodIps(input, plainNamespace).find(
      ip => getAddressFamily(ip) === check.family
    );
    return createProofsAt(input, check, address, 9000);
  };

/** What is asked of the web: the TLS hosts, and the HTTP host by each of its addresses. */
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

/** Any HTTP status: a TLS server has answered through the ServiceEntry. */
function answered(check: CheckDefinition, page: Page, attempts: Attempt[]): Outcome {
  const observed = summarizeStatuses(attempts);
  const passed = !observed.includes('no answer');
  return {
    observed: passed ? anyStatus : observed,
    verdict: passed ? 'passed' : 'failed',
    reason: passed ? null : `${page.via} gave ${observed} for ${page.url}`,
    address: getExternalAddresses(1)[getFamily(check)],
    attempts,
    reproduce: reproducePage(client, page)
  };
}

/** Not supported, as the API reference says; told when it is otherwise. */
function limitation(statuses: string[]): Outcome {
  const asKnown = statuses.filter(status => status === '200').length === 1; // which one, varies
  const said = Object.values(httpAddresses)
    .map((address, at) => `${address}: ${statuses[at]}`)
    .join('; ');
  return {
    observed: asKnown ? knownLimitation : said,
    verdict: asKnown ? 'skipped' : 'failed',
    reason: asKnown
      ? `Istio does not support two addresses of an HTTP host (istio/istio#56783): ${said}`
      : `${said}; known is that ${knownLimitation}`,
    reproduce: reproducePage(client, httpPage(httpAddresses.ipv4))
  };
}

/** The ServiceEntry is patched to take the ClusterIPs of others too, and asked until that is in force. */
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
              lookUp: buildLookupCommand(input, check.to, address)
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

/** Has the ServiceEntry take these ClusterIPs, each beside an address that nobody had. */
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
      ? `${probe.address} port ${probe.port} gave ${observed} ${settleSeconds} s after the ServiceEntry took it`
      : null,
    address: probe.address,
    upstream: upstream(input, answers),
    attempts: toAttempts(answers),
    reproduce: reproduceProbe(client, probe)
  };
}

/** The pod that the connections really took. */
function upstream(input: MeshCheckInput, answers: Answer[]): string | null {
  const pods = listPodIps(input, plainNamespace);
  const taken = answers.flatMap(({peers}) => peers).filter(peer => pods.includes(peer));
  return [...new Set(taken)].join(', ') || null;
}
