/** Checks of Services in an existing cluster, named by `targets`: they deploy nothing and send no traffic. */
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
import {describeListedAddresses, endpoints, exactlyReadyPods} from './endpoints.ts';
import {
  boundOnBothFamilies,
  buildWorkloadEnvoyCommand,
  checkWildcardListeners,
  type EnvoyEndpoints,
  type EnvoyListeners,
  endpointQuery,
  findEndpoints,
  formatEndpoint,
  formatSocketAddress,
  listenerQuery,
  listListenerAddresses,
  proxy
} from './proxy.ts';
import {formatFamilies, getIpFamilyPolicy, isHeadless, service} from './service.ts';
import {describeAddressFamilies, describeSidecar, workload} from './workload.ts';

/** A Service, with its pods and EndpointSlices. */
export interface TargetService {
  service: Service;
  /** The selected pods, without terminating and completed ones. */
  pods: Pod[];
  slices: EndpointSlice[];
}

export interface TargetCheckInput extends PreflightInput {
  targets: TargetService[];
  /** Namespaces where this kubeconfig may not exec into pods. */
  noExecNamespaces: string[];
}

const bothFamilies = 'ipv4, ipv6';
const dualStackPolicies = 'RequireDualStack or PreferDualStack';
const onEach = 'a listener for each ClusterIP';

/** The form in check ids; neither part contains a dot. */
const getTargetName = ({metadata: {namespace, name}}: Service): string => `${namespace}.${name}`;
const getTitle = ({metadata: {namespace, name}}: Service): string => `${namespace}/${name}`;
const findTarget = (
  targets: TargetService[],
  {target}: CheckDefinition
): TargetService | undefined => targets.find(({service}) => getTargetName(service) === target);

/** Reads the pods and EndpointSlices of a Service. Throws CommandError. */
export async function readTarget(service: Service, sh: Sh): Promise<TargetService> {
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

/** A completed pod has no address. */
const isOver = ({status}: Pod): boolean => /^(Succeeded|Failed)$/.test(status.phase);

/** Creates the checks of these Services, by layer. A Service gets only the checks that apply to it. */
export const createTargetChecks = (services: Service[]): LayerChecks<TargetCheckInput>[] =>
  [workloads, policies, slices, proxies].map(({layer, attribution, defineChecks, run}) => ({
    layer,
    attribution,
    run,
    definitions: services.flatMap(service =>
      defineChecks(service).map(one => ({...one, independent: true}))
    )
  }));

/** The checks of one layer, for any Service. */
interface ForEach extends Omit<LayerChecks<TargetCheckInput>, 'definitions'> {
  defineChecks: (service: Service) => CheckDefinition[];
}

const targetRow = (
  layer: Layer,
  service: Service,
  aspect: string,
  title: string,
  expected: string,
  more: Partial<CheckDefinition> = {}
): CheckDefinition =>
  defineCheck(layer, `${layer}/${getTargetName(service)}/${aspect}`, title, expected, {
    to: {kind: 'Service', namespace: service.metadata.namespace, name: service.metadata.name},
    ...more
  });

const selects = ({spec}: Service): boolean => Object.keys(spec.selector ?? {}).length > 0;

const getAspect = ({id}: CheckDefinition): string => id.slice(id.lastIndexOf('/') + 1);

const buildPodsCommand = ({metadata, spec}: Service): string =>
  `kubectl get pods -n ${metadata.namespace} -l ${quote(
    Object.entries(spec.selector ?? {})
      .map(pair => pair.join('='))
      .join(',')
  )} -o yaml`;

const workloads: ForEach = {
  layer: 'workload',
  attribution: workload.attribution,
  defineChecks: service =>
    selects(service)
      ? [
          targetRow(
            'workload',
            service,
            'addresses',
            `Every pod of ${getTitle(service)} has an address of each family`,
            bothFamilies,
            {
              attribution: {
                class: 'infrastructure',
                hint: 'Check the network of the cluster, and restart pods that are older than its second family. A host-network pod has the addresses of its node.',
                headline: `The pods of ${getTitle(service)} do not have an address of each family`
              }
            }
          ),
          targetRow(
            'workload',
            service,
            'sidecar',
            `Either every pod of ${getTitle(service)} has a sidecar, or no pod`,
            'istio-proxy',
            {
              attribution: {
                hint: 'Restart the pods that were created before injection was on (`kubectl rollout restart`). Check also their label `sidecar.istio.io/inject`.',
                headline: `Some pods of ${getTitle(service)} have no sidecar`
              }
            }
          )
        ]
      : [],
  run: async ({targets, report}, selected) => {
    for (const check of selected) {
      const found = findTarget(targets, check);
      if (found === undefined) continue;
      const {service, pods} = found;
      const observe = getAspect(check) === 'sidecar' ? describeSidecar : describeAddressFamilies;
      const observed = [...new Set(pods.map(observe))].sort().join('; ') || 'no pod';
      const bare = getAspect(check) === 'sidecar' && /^no(ne| pod)$/.test(observed);
      if (bare) report(check.id, skip(observed === 'none' ? withoutSidecar : withoutPods));
      else
        report(check.id, {
          ...compare(check.expected, observed, {reproduce: buildPodsCommand(service)}),
          ...(pods.length === 0 && {attribution: createNoPodsAttribution(service)})
        });
    }
  }
};

const withoutSidecar = 'its pods have no sidecar';
const withoutPods = 'the Service selects no pod';
const createNoPodsAttribution = (service: Service) => ({
  class: 'connectivity' as const,
  hint: 'No running pod has the labels of its selector. Check its workload (`kubectl get deployments,statefulsets`), the number of replicas, and the events of its namespace.',
  headline: `${getTitle(service)} selects no pod`
});

const policies: ForEach = {
  layer: 'service',
  attribution: {...service.attribution, headline: () => 'Services are not dual-stack'},
  defineChecks: service => {
    const {namespace, name} = service.metadata;
    const attribution = {
      hint: `To add the other family and keep the first ClusterIP: \`kubectl patch service ${name} -n ${namespace} --type merge -p '{"spec":{"ipFamilyPolicy":"PreferDualStack"}}'\`.`,
      headline: `The Service ${getTitle(service)} is not dual-stack`
    };
    return [
      targetRow(
        'service',
        service,
        'policy',
        `The ipFamilyPolicy of ${getTitle(service)} is dual-stack`,
        dualStackPolicies,
        {attribution}
      ),
      targetRow(
        'service',
        service,
        'families',
        `${getTitle(service)} has ${isHeadless(service.spec) ? 'both families' : 'a ClusterIP of each family'}`,
        bothFamilies,
        {attribution}
      )
    ];
  },
  run: async ({targets, report}, selected) => {
    for (const check of selected) {
      const found = findTarget(targets, check);
      if (found === undefined) continue;
      const {service} = found;
      const {namespace, name} = service.metadata;
      const policy = getIpFamilyPolicy(service);
      const observed =
        getAspect(check) === 'policy'
          ? dualStackPolicies.split(' or ').includes(policy)
            ? check.expected
            : policy
          : formatFamilies(service);
      const reproduce = `kubectl get service ${name} -n ${namespace} -o yaml`;
      const told = compare(check.expected, observed, {reproduce});
      report(check.id, getAspect(check) === 'policy' ? {...told, observed: policy} : told);
    }
  }
};

const someReady = 'ready endpoints';

/** With a selector, a Service must list exactly its ready pods; without one, its endpoints are set by hand. */
const slices: ForEach = {
  layer: 'endpoints',
  attribution: endpoints.attribution,
  defineChecks: service =>
    families.map(family =>
      targetRow(
        'endpoints',
        service,
        family,
        `EndpointSlices of ${getTitle(service)} list ${selects(service) ? `the pods' ${family} addresses` : `ready ${family} addresses`}`,
        selects(service) ? exactlyReadyPods : someReady,
        {
          family,
          grid: {title: 'Endpoints of', named: true},
          attribution: {headline: `${getTitle(service)} does not have the expected endpoints`}
        }
      )
    ),
  run: async ({targets, sh, work, report}, selected) => {
    for (const check of selected) {
      const found = findTarget(targets, check);
      if (found === undefined) continue;
      let target = found;
      let looks = 0;
      const observed = await pollUntil(
        work,
        async () => {
          if (looks++ > 0) target = await readTarget(found.service, sh);
          const observed = describeEndpoints(target, check.family);
          return observed === check.expected || observed === 'none' || looks > 2
            ? {is: 'done', value: observed}
            : {is: 'waiting', for: `the endpoints of ${getTitle(found.service)}`}; // the pods were read a moment before, and can change
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

function describeEndpoints({service, pods, slices}: TargetService, family: Family | null): string {
  const wanted = service.spec.publishNotReadyAddresses ? pods : pods.filter(isReady);
  const listed = describeListedAddresses(slices, wanted, family);
  return selects(service) || /^(none|an empty slice)$/.test(listed) ? listed : someReady;
}

/** The ports with a protocol that a proxy handles. */
const listTcpPorts = ({spec}: Service): number[] =>
  (spec.ports ?? []).filter(({protocol = 'TCP'}) => protocol === 'TCP').map(({port}) => port);

const proxies: ForEach = {
  layer: 'proxy',
  attribution: proxy.attribution,
  defineChecks: service => {
    const title = getTitle(service);
    const told = listTcpPorts(service).length > 0 && !isHeadless(service.spec); // a proxy passes traffic to a headless Service through
    if (!selects(service)) return [];
    return [
      targetRow(
        'proxy',
        service,
        'listeners',
        `The proxy of a pod of ${title} listens on both families`,
        boundOnBothFamilies,
        {
          attribution: {
            hint: 'Check ISTIO_DUAL_STACK in the proxy of that pod. Set it by `meshConfig.defaultConfig.proxyMetadata` and restart older pods, or by the annotation `proxy.istio.io/config`.',
            headline: `A proxy of ${title} does not listen on both families`
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
              {attribution: {headline: `A proxy has no listener for a ClusterIP of ${title}`}}
            ),
            targetRow(
              'proxy',
              service,
              'endpoints',
              `The proxy of a pod of ${title} has endpoints for every ready pod, with both addresses`,
              'both addresses of every ready pod',
              {
                attribution: {
                  headline: `A proxy does not have both addresses of every pod of ${title}`
                }
              }
            )
          ]
        : [])
    ];
  },
  run: async (looking, selected) => {
    const byTarget = new Map<TargetService, CheckDefinition[]>();
    for (const check of selected) {
      const target = findTarget(looking.targets, check);
      if (target !== undefined) byTarget.set(target, [...(byTarget.get(target) ?? []), check]);
    }
    for (const [target, definitions] of byTarget) await checkProxy(looking, target, definitions);
  }
};

/** A valid name for the API server: people paste commands that contain it. */
const isName = /^[a-z0-9][a-z0-9.-]{0,252}$/;

/** Checks one proxy of a Service: istiod sends the same configuration to all of them. */
async function checkProxy(
  {sh, noExecNamespaces, report}: TargetCheckInput,
  target: TargetService,
  definitions: CheckDefinition[]
) {
  const {namespace} = target.service.metadata;
  const tellAll = (outcome: Outcome) => {
    for (const {id} of definitions) report(id, outcome);
  };
  const [pod] = target.pods
    .filter(
      pod => isReady(pod) && describeSidecar(pod) !== 'none' && isName.test(pod.metadata.name)
    )
    .sort((one, other) => one.metadata.name.localeCompare(other.metadata.name));
  if (pod === undefined)
    return tellAll(
      skip(
        target.pods.length === 0
          ? withoutPods
          : target.pods.some(pod => describeSidecar(pod) !== 'none')
            ? 'no pod with a sidecar is ready'
            : withoutSidecar
      )
    );
  if (noExecNamespaces.includes(namespace))
    return tellAll(skip(`this kubeconfig may not exec into pods of ${namespace}`));
  const buildCommand = (query: string) =>
    buildWorkloadEnvoyCommand(namespace, `pod/${pod.metadata.name}`, query);
  const listeners = await dumped<EnvoyListeners>(sh, buildCommand(listenerQuery));
  const known = await dumped<EnvoyEndpoints>(sh, buildCommand(endpointQuery));
  if (typeof listeners === 'string') return tellAll(skip(listeners));
  if (typeof known === 'string') return tellAll(skip(known));
  for (const check of definitions) {
    const aspect = getAspect(check);
    if (aspect === 'listeners')
      report(check.id, checkWildcardListeners(listeners, buildCommand(listenerQuery)));
    else {
      const ofListeners = aspect === 'cluster-ips';
      const missing = ofListeners
        ? unserved(target, listeners, known)
        : findUnknownPods(target, known);
      const query = ofListeners ? listenerQuery : `'${endpointQuery}'`;
      report(
        check.id,
        missing === null
          ? skip(
              'its proxy has no cluster for this Service (a Sidecar resource or `exportTo` can exclude it)'
            )
          : compare(check.expected, missing.join('; ') || check.expected, {
              reason: missing.join('; ') || null,
              reproduce: buildCommand(query).join(' ')
            })
      );
    }
  }
  return undefined;
}

/** Returns a dump of a proxy, or the reason why it cannot be read. */
async function dumped<Dump>(sh: Sh, command: string[]): Promise<Dump | string> {
  try {
    return (await runJson(sh, command, {seconds: 20})) as Dump;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return `cannot read its proxy: ${error.message.slice(0, 300)}`;
  }
}

/** Lists ClusterIPs and ports without a listener: neither on that address nor, as for HTTP, on the wildcard of its family. */
function unserved(
  {service}: TargetService,
  listeners: EnvoyListeners,
  known: EnvoyEndpoints
): string[] | null {
  const found = listListenerAddresses(listeners);
  return collectByPort(service, known, port =>
    getClusterIps(service)
      .filter(ip => {
        const anywhere = getAddressFamily(ip) === 'ipv4' ? '0.0.0.0' : '::';
        const wanted = [ip, anywhere].map(address =>
          formatSocketAddress({socket_address: {address, port_value: port}})
        );
        return !wanted.some(address => found.includes(address));
      })
      .map(
        ip =>
          `no listener for ${formatSocketAddress({socket_address: {address: ip, port_value: port}})}`
      )
  );
}

/** Lists ready pods that are not endpoints with both addresses. */
function findUnknownPods({service, pods}: TargetService, known: EnvoyEndpoints): string[] | null {
  const sorted = (addresses: string) => addresses.split('+').sort().join('+');
  return collectByPort(service, known, (port, found) =>
    pods
      .filter(isReady)
      .map(pod => formatEndpoint(pod, families))
      .filter(wanted => !found.map(sorted).includes(sorted(wanted)))
      .map(wanted => `port ${port} has no endpoint ${wanted}; it has ${found.join(', ') || 'none'}`)
  );
}

/** Collects what is missing at each port for which the proxy has a cluster; null: it has none. */
function collectByPort(
  service: Service,
  known: EnvoyEndpoints,
  missing: (port: number, found: string[]) => string[]
): string[] | null {
  const told = listTcpPorts(service).flatMap(port => {
    const found = findEndpoints(known, service.metadata, port);
    return found === null ? [] : [missing(port, found)];
  });
  return told.length === 0 ? null : told.flat();
}
