import {quote} from 'shlex';
import {
  type EndpointSlice,
  getAddressFamily,
  getClusterIps,
  isReady,
  listObjects,
  type Pod,
  type Service
} from '../base/kube.ts';
import {CommandError, runJson, type Sh} from '../base/sh.ts';
import {pollUntil} from '../base/wait.ts';
import {type Family, families, type Layer} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type Outcome,
  type PreflightInput,
  skip
} from './definition.ts';
import {endpoints, exactly, listedIn} from './endpoints.ts';
import {
  addressesOf,
  bound,
  type Endpoints,
  endpointOf,
  endpointQuery,
  endpointsIn,
  envoyOf,
  type Listeners,
  listenerQuery,
  proxy,
  wildcardListeners,
  written
} from './proxy.ts';
import {familiesOf, isHeadless, policyOf, service} from './service.ts';
import {addresses, sidecar, workload} from './workload.ts';

/** Services of somebody else: looked at, with nothing deployed, and nothing asked over the network of pods. */

/** A Service, and what Kubernetes made of it. */
export interface Target {
  service: Service;
  /** Those that it selects, and that are not on their way out. */
  pods: Pod[];
  slices: EndpointSlice[];
}

export interface Looking extends PreflightInput {
  targets: Target[];
  /** Namespaces in which no proxy may be asked. */
  silent: string[];
}

const both = 'ipv4, ipv6';
const dual = 'RequireDualStack or PreferDualStack';
const onEach = 'a listener for each ClusterIP';

/** As the check ids have it: neither part has a dot of its own. */
const targetOf = ({metadata: {namespace, name}}: Service): string => `${namespace}.${name}`;
const titleOf = ({metadata: {namespace, name}}: Service): string => `${namespace}/${name}`;
const of = (targets: Target[], {target}: CheckDefinition): Target | undefined =>
  targets.find(({service}) => targetOf(service) === target);

/** Reads what belongs to a Service. Throws CommandError. */
export async function readTarget(service: Service, sh: Sh): Promise<Target> {
  const {metadata, spec} = service;
  const selector = Object.entries(spec.selector ?? {}).map(pair => pair.join('='));
  const list = <Thing>(kind: string, labels: string) =>
    listObjects<Thing>(sh, kind, '-n', metadata.namespace, '-l', labels);
  const pods = selector.length === 0 ? [] : await list<Pod>('pods', selector.join(','));
  return {
    service,
    pods: pods.filter(pod => !pod.metadata.deletionTimestamp && !isOver(pod)),
    slices: await list<EndpointSlice>(
      'endpointslices.discovery.k8s.io',
      `kubernetes.io/service-name=${metadata.name}`
    )
  };
}

/** It ran to its end, and has an address no more. */
const isOver = ({status}: Pod): boolean => /^(Succeeded|Failed)$/.test(status.phase);

/** All that is looked at of these Services, by layer. What cannot be asked of one of them has no row. */
export const targetChecks = (services: Service[]): LayerChecks<Looking>[] =>
  [workloads, policies, slices, proxies].map(({layer, attribution, definitionsFor, run}) => ({
    layer,
    attribution,
    run,
    definitions: services.flatMap(service =>
      definitionsFor(service).map(one => ({...one, independent: true}))
    )
  }));

/** The same for any Service. */
interface ForEach extends Omit<LayerChecks<Looking>, 'definitions'> {
  definitionsFor: (service: Service) => CheckDefinition[];
}

const targetRow = (
  layer: Layer,
  service: Service,
  aspect: string,
  title: string,
  expected: string,
  more: Partial<CheckDefinition> = {}
): CheckDefinition =>
  defineCheck(layer, `${layer}/${targetOf(service)}/${aspect}`, title, expected, {
    to: {kind: 'Service', namespace: service.metadata.namespace, name: service.metadata.name},
    ...more
  });

const selects = ({spec}: Service): boolean => Object.keys(spec.selector ?? {}).length > 0;

const aspectOf = ({id}: CheckDefinition): string => id.slice(id.lastIndexOf('/') + 1);

const podsOf = ({metadata, spec}: Service): string =>
  `kubectl get pods -n ${metadata.namespace} -l ${quote(
    Object.entries(spec.selector ?? {})
      .map(pair => pair.join('='))
      .join(',')
  )} -o yaml`;

const workloads: ForEach = {
  layer: 'workload',
  attribution: workload.attribution,
  definitionsFor: service =>
    selects(service)
      ? [
          targetRow(
            'workload',
            service,
            'addresses',
            `Every pod of ${titleOf(service)} has an address of each family`,
            both,
            {
              attribution: {
                class: 'infrastructure',
                hint: 'The Service has no pods, or they have one family only: a pod on the host network has the addresses of its node; else see the network of the cluster, and whether the pods are older than its second family.',
                headline: `The pods of ${titleOf(service)} do not have an address of each family`
              }
            }
          ),
          targetRow(
            'workload',
            service,
            'sidecar',
            `Every pod of ${titleOf(service)} has a sidecar, or none has`,
            'istio-proxy',
            {
              attribution: {
                hint: 'Some of the pods were made while nobody injected there, or ask for none: restart them (`kubectl rollout restart`), and see their label `sidecar.istio.io/inject`.',
                headline: `Some pods of ${titleOf(service)} have no sidecar`
              }
            }
          )
        ]
      : [],
  run: async ({targets, report}, selected) => {
    for (const check of selected) {
      const found = of(targets, check);
      if (found === undefined) continue;
      const {service, pods} = found;
      const observe = aspectOf(check) === 'sidecar' ? sidecar : addresses;
      const observed = [...new Set(pods.map(observe))].sort().join('; ') || 'no pod';
      const bare = aspectOf(check) === 'sidecar' && /^no(ne| pod)$/.test(observed);
      if (bare) report(check.id, skip(observed === 'none' ? withoutSidecar : withoutPods));
      else
        report(check.id, {
          ...compare(check.expected, observed, {reproduce: podsOf(service)}),
          ...(pods.length === 0 && {attribution: nobody(service)})
        });
    }
  }
};

const withoutSidecar = 'its pods have no sidecar';
const withoutPods = 'there is no pod';
const nobody = (service: Service) => ({
  class: 'connectivity' as const,
  hint: 'No pod has the labels of its selector: see who is to make them (`kubectl get deployments,statefulsets`), whether that is scaled to none, and the events of its namespace.',
  headline: `${titleOf(service)} selects no pod`
});

const policies: ForEach = {
  layer: 'service',
  attribution: {...service.attribution, headline: () => 'Services are not dual-stack'},
  definitionsFor: service => {
    const {namespace, name} = service.metadata;
    const attribution = {
      hint: `Where it is meant to be dual-stack: \`kubectl patch service ${name} -n ${namespace} --type merge -p '{"spec":{"ipFamilyPolicy":"PreferDualStack"}}'\` gives it the other family, and leaves its first ClusterIP.`,
      headline: `The Service ${titleOf(service)} is not dual-stack`
    };
    return [
      targetRow(
        'service',
        service,
        'policy',
        `The ipFamilyPolicy of ${titleOf(service)} asks for both families`,
        dual,
        {attribution}
      ),
      targetRow(
        'service',
        service,
        'families',
        `${titleOf(service)} has ${isHeadless(service.spec) ? 'both families' : 'a ClusterIP of each family'}`,
        both,
        {attribution}
      )
    ];
  },
  run: async ({targets, report}, selected) => {
    for (const check of selected) {
      const found = of(targets, check);
      if (found === undefined) continue;
      const {service} = found;
      const {namespace, name} = service.metadata;
      const policy = policyOf(service);
      const observed =
        aspectOf(check) === 'policy'
          ? dual.split(' or ').includes(policy)
            ? check.expected
            : policy
          : familiesOf(service);
      const reproduce = `kubectl get service ${name} -n ${namespace} -o yaml`;
      const told = compare(check.expected, observed, {reproduce});
      report(check.id, aspectOf(check) === 'policy' ? {...told, observed: policy} : told);
    }
  }
};

const someReady = 'ready endpoints';

/** What a Service without a selector has was put there by somebody; else it is exactly the ready pods. */
const slices: ForEach = {
  layer: 'endpoints',
  attribution: endpoints.attribution,
  definitionsFor: service =>
    families.map(family =>
      targetRow(
        'endpoints',
        service,
        family,
        `EndpointSlices of ${titleOf(service)} have ${selects(service) ? `the pods' ${family} addresses` : `ready addresses of ${family}`}`,
        selects(service) ? exactly : someReady,
        {
          family,
          grid: {title: 'Endpoints of', named: true},
          attribution: {headline: `${titleOf(service)} does not have the endpoints it should`}
        }
      )
    ),
  run: async ({targets, sh, work, report}, selected) => {
    for (const check of selected) {
      const found = of(targets, check);
      if (found === undefined) continue;
      let target = found;
      let looks = 0;
      const observed = await pollUntil(
        work,
        async () => {
          if (looks++ > 0) target = await readTarget(found.service, sh);
          const observed = endpointsOf(target, check.family);
          return observed === check.expected || observed === 'none' || looks > 2
            ? {is: 'done', value: observed}
            : {is: 'waiting', for: `the endpoints of ${titleOf(found.service)}`}; // pods come and go, and were read a moment before
        },
        {every: 1}
      );
      const {namespace, name} = found.service.metadata;
      report(
        check.id,
        compare(check.expected, observed, {
          reproduce: `kubectl get endpointslices -n ${namespace} -l kubernetes.io/service-name=${name} -o yaml`
        })
      );
    }
  }
};

function endpointsOf({service, pods, slices}: Target, family: Family | null): string {
  const wanted = service.spec.publishNotReadyAddresses ? pods : pods.filter(isReady);
  const listed = listedIn(slices, wanted, family);
  return selects(service) || /^(none|an empty slice)$/.test(listed) ? listed : someReady;
}

/** Those whose connections a proxy can carry. */
const portsOf = ({spec}: Service): number[] =>
  (spec.ports ?? []).filter(({protocol = 'TCP'}) => protocol === 'TCP').map(({port}) => port);

const proxies: ForEach = {
  layer: 'proxy',
  attribution: proxy.attribution,
  definitionsFor: service => {
    const title = titleOf(service);
    const told = portsOf(service).length > 0 && !isHeadless(service.spec); // a proxy passes what is headless through
    if (!selects(service)) return [];
    return [
      targetRow(
        'proxy',
        service,
        'listeners',
        `The proxy of a pod of ${title} listens on both families`,
        bound,
        {
          attribution: {
            hint: 'Dual-stack is off in that pod: see ISTIO_DUAL_STACK in its proxy. It comes from `meshConfig.defaultConfig.proxyMetadata` when the pod is made, so that pods which are older than it are to be restarted, or from an annotation `proxy.istio.io/config`.',
            headline: `The proxies of ${title} are not set up for both families`
          }
        }
      ),
      ...(told
        ? [
            targetRow(
              'proxy',
              service,
              'cluster-ips',
              `The proxy of a pod of ${title} has a listener for each of its ClusterIPs`,
              onEach,
              {attribution: {headline: `Istio does not serve every ClusterIP of ${title}`}}
            ),
            targetRow(
              'proxy',
              service,
              'endpoints',
              `The proxy of a pod of ${title} has every ready pod, with both addresses`,
              'both addresses of every ready pod',
              {
                attribution: {
                  headline: `Proxies do not have both addresses of the pods of ${title}`
                }
              }
            )
          ]
        : [])
    ];
  },
  run: async (looking, selected) => {
    const byTarget = new Map<Target, CheckDefinition[]>();
    for (const check of selected) {
      const target = of(looking.targets, check);
      if (target !== undefined) byTarget.set(target, [...(byTarget.get(target) ?? []), check]);
    }
    for (const [target, definitions] of byTarget) await lookAtProxy(looking, target, definitions);
  }
};

/** As the API server takes it: commands that people paste have it in them. */
const isName = /^[a-z0-9][a-z0-9.-]{0,252}$/;

/** One proxy stands for all of a Service: what istiod tells them is the same. */
async function lookAtProxy(
  {sh, silent, report}: Looking,
  target: Target,
  definitions: CheckDefinition[]
) {
  const {namespace} = target.service.metadata;
  const tellAll = (finding: Outcome) => {
    for (const {id} of definitions) report(id, finding);
  };
  const [pod] = target.pods
    .filter(pod => isReady(pod) && sidecar(pod) !== 'none' && isName.test(pod.metadata.name))
    .sort((one, other) => one.metadata.name.localeCompare(other.metadata.name));
  if (pod === undefined)
    return tellAll(
      skip(
        target.pods.length === 0
          ? withoutPods
          : target.pods.some(pod => sidecar(pod) !== 'none')
            ? 'no pod with a sidecar is ready'
            : withoutSidecar
      )
    );
  if (silent.includes(namespace))
    return tellAll(skip(`this kubeconfig may not exec into pods of ${namespace}`));
  const ask = (query: string) => envoyOf(namespace, `pod/${pod.metadata.name}`, query);
  const listeners = await dumped<Listeners>(sh, ask(listenerQuery));
  const known = await dumped<Endpoints>(sh, ask(endpointQuery));
  if (typeof listeners === 'string') return tellAll(skip(listeners));
  if (typeof known === 'string') return tellAll(skip(known));
  for (const check of definitions) {
    const aspect = aspectOf(check);
    if (aspect === 'listeners') report(check.id, wildcardListeners(listeners, ask(listenerQuery)));
    else {
      const ofListeners = aspect === 'cluster-ips';
      const missing = ofListeners ? unserved(target, listeners, known) : unknown(target, known);
      const query = ofListeners ? listenerQuery : `'${endpointQuery}'`;
      report(
        check.id,
        missing === null
          ? skip('its own proxy is not told of it, by a Sidecar resource or its `exportTo`')
          : compare(check.expected, missing.join('; ') || check.expected, {
              reason: missing.join('; ') || null,
              reproduce: ask(query).join(' ')
            })
      );
    }
  }
  return undefined;
}

/** What a proxy says; or why it could not be asked. */
async function dumped<Dump>(sh: Sh, command: string[]): Promise<Dump | string> {
  try {
    return (await runJson(sh, command, {seconds: 20})) as Dump;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return `its proxy could not be asked: ${error.message.slice(0, 300)}`;
  }
}

/** A ClusterIP and port that no listener takes: neither one of its own, nor, as for HTTP, one for all of its family. */
function unserved({service}: Target, listeners: Listeners, known: Endpoints): string[] | null {
  const found = addressesOf(listeners);
  return ofPorts(service, known, port =>
    getClusterIps(service)
      .filter(ip => {
        const anywhere = getAddressFamily(ip) === 'ipv4' ? '0.0.0.0' : '::';
        const wanted = [ip, anywhere].map(address =>
          written({socket_address: {address, port_value: port}})
        );
        return !wanted.some(address => found.includes(address));
      })
      .map(ip => `no listener for ${written({socket_address: {address: ip, port_value: port}})}`)
  );
}

/** A ready pod that is no endpoint, or not under both of its addresses. */
function unknown({service, pods}: Target, known: Endpoints): string[] | null {
  const sorted = (addresses: string) => addresses.split('+').sort().join('+');
  return ofPorts(service, known, (port, found) =>
    pods
      .filter(isReady)
      .map(pod => endpointOf(pod, families))
      .filter(wanted => !found.map(sorted).includes(sorted(wanted)))
      .map(wanted => `port ${port} has no endpoint ${wanted}: ${found.join(', ') || 'none'}`)
  );
}

/** What is missing of each port that the proxy knows; null: it knows none. */
function ofPorts(
  service: Service,
  known: Endpoints,
  missing: (port: number, found: string[]) => string[]
): string[] | null {
  const told = portsOf(service).flatMap(port => {
    const found = endpointsIn(known, service.metadata, port);
    return found === null ? [] : [missing(port, found)];
  });
  return told.length === 0 ? null : told.flat();
}
