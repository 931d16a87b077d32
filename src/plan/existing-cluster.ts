import {stringify} from 'yaml';
import {createInputFault, type Fault} from '../base/fault.ts';
import {readYamlDocuments} from '../base/yaml.ts';
import {type Inputs, isInputSet} from '../inputs/inputs.ts';
import {type Permission, runLabel} from '../manifests/existing-cluster-manifests.ts';
import {cniNamespace, istioNamespace, operatorNamespace} from '../manifests/istio-resources.ts';
import type {Family} from '../results/results.ts';
import {getMinor} from '../versions/istio-versions.ts';
import {type Chart, createReleaseWithoutImages, readChart} from '../versions/read-chart.ts';

/** What was found in a cluster that is there already, before anything is made in it. */
export interface ClusterSurvey {
  /** Of the kubeconfig: the context, and its cluster. */
  context: string;
  name: string;
  /** Version of the API server, `v1.34.4`. */
  kubernetes: string;
  /** The families of a Service that must have both, the primary one first; empty where it was refused. */
  families: Family[];
  /** What the API server said to that Service, where it was refused. */
  refused: string;
  /** What this kubeconfig may not do. */
  denied: Permission[];
  openshift: boolean;
  /** The Gateway API is served. */
  gatewayApi: boolean;
  namespaces: {name: string; labels: Record<string, string>}[];
  operators: FoundOperator[];
  istiods: FoundIstiod[];
  /** Names of the Istio resources, with the version that they ask for. */
  istios: {name: string; version: string | null}[];
  /** There is an IstioCNI resource. */
  cni: boolean;
  /** Who injects: revisions, and tags of them. */
  injectors: {revision: string; tag: string | null}[];
  /** `NAMESPACE/NAME` of pods that ask for a sidecar by themselves. */
  podsRequestingSidecar: string[];
  /** `NAMESPACE/NAME` of the ConfigMaps that an istiod has put there. */
  configMaps: string[];
  /** Namespaces with a PeerAuthentication that is STRICT for all of their workloads. */
  strict: string[];
}

export interface FoundOperator {
  namespace: string;
  name: string;
  image: string;
  /** Annotations of its pods: the images of what it can install. */
  annotations: Record<string, string>;
  /** The CRD of its Istio resource, YAML. */
  crd: string;
}

export interface FoundIstiod {
  namespace: string;
  name: string;
  revision: string;
  image: string;
}

/** What is made in a cluster that is there already, and what is used of it. */
export interface ExistingCluster {
  /** The value of the label of all that this run makes. */
  run: string;
  installs: {operator: boolean; istio: boolean};
  /** The operator and the mesh that are used; null: the one that this run installs, or none. */
  operator: FoundOperator | null;
  mesh: (FoundIstiod & {version: string; resource: string | null}) | null;
  /** There is an IstioCNI, which is used. */
  cni: boolean;
  /** Why plaintext is refused by pods with sidecars here; null: it is not. */
  strict: string | null;
  found: Pick<
    ClusterSurvey,
    | 'context'
    | 'name'
    | 'kubernetes'
    | 'families'
    | 'refused'
    | 'openshift'
    | 'gatewayApi'
    | 'configMaps'
  >;
}

/**
 * What of the mesh there is used, and what is installed. Pure. Throws a Fault of class `input` where neither can be
 * done: nothing that is there is ever overwritten.
 */
export function planExistingCluster(inputs: Inputs, found: ClusterSurvey): ExistingCluster {
  const {context, name, kubernetes, families, refused, openshift, gatewayApi, configMaps} = found;
  const operator = found.operators[0] ?? null;
  const mesh = chooseMesh(inputs['injection-label'], found);
  const installs = {istio: mesh === null, operator: mesh === null && operator === null};
  refuseDenied(found, installs);
  if (operator !== null || mesh !== null)
    refuseInstallInputs('operator', operator ?? mesh, installs);
  if (mesh !== null) refuseVersion(inputs['istio-version'], mesh.version);
  if (mesh === null) refuseSidecarRequests(found);
  const strict = mesh && found.strict.includes(mesh.namespace) ? mesh.namespace : null;
  return {
    run: inputs['cluster-name'],
    installs,
    operator,
    mesh,
    cni: found.cni,
    strict:
      strict === null
        ? null
        : `this mesh refuses plaintext everywhere: a PeerAuthentication in ${strict} is STRICT`,
    found: {context, name, kubernetes, families, refused, openshift, gatewayApi, configMaps}
  };
}

/** The mesh that injects where this label asks for it; null: there is no mesh at all. */
function chooseMesh(label: string, found: ClusterSurvey): ExistingCluster['mesh'] {
  const {istiods, istios, injectors} = found;
  if (istiods.length === 0 && istios.length > 0)
    throw createInputFault(
      `cluster: found the Istio resource ${istios.map(({name}) => name).join(', ')} without a Deployment of istiod; accepted is a cluster whose mesh runs, or one without any`
    );
  if (istiods.length === 0) return null;
  const [key, value = ''] = label.split('=');
  const requestedRevision = key === 'istio-injection' ? 'default' : value;
  const revision =
    injectors.find(({tag}) => tag === requestedRevision)?.revision ??
    injectors.find(({revision, tag}) => tag === null && revision === requestedRevision)?.revision;
  const istiod = istiods.find(istiod => istiod.revision === revision);
  if (revision === undefined || istiod === undefined) throw createUnmatchedLabelFault(label, found);
  const resource = istios.find(({name}) => revision === name || revision.startsWith(`${name}-v`));
  return {
    ...istiod,
    version: parseImageVersion(istiod.image) ?? resource?.version ?? '',
    resource: resource?.name ?? null
  };
}

function createUnmatchedLabelFault(label: string, {injectors}: ClusterSurvey): Fault {
  const names = injectors.map(({revision, tag}) => tag ?? revision);
  const labels = [...new Set(names)].flatMap(name => [
    ...(name === 'default' ? ['`istio-injection=enabled`'] : []),
    `\`istio.io/rev=${name}\``
  ]);
  return createInputFault(
    `injection-label: found "${label}", and no mesh in this cluster injects by it; accepted is ${labels.join(', ') || 'nothing here: the istiod that runs has no injection webhook'}`
  );
}

/** `registry.example/pilot:1.30.3-distroless` → `v1.30.3`; null where the tag is no version. */
const parseImageVersion = (image: string): string | null => {
  const [, version] = /:v?(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)[\w.]*)?)/.exec(image) ?? [];
  return version === undefined ? null : `v${version}`;
};

function refuseDenied({denied}: ClusterSurvey, installs: ExistingCluster['installs']): void {
  const missing = denied.filter(right => right.for === undefined || installs[right.for]);
  if (missing.length === 0) return;
  const names = missing.map(({verb, resource}) => `${verb} ${resource}`).join(', ');
  throw createInputFault(
    `kubeconfig: found a user that may not ${names} in all namespaces; accepted is one that may (\`kubectl auth can-i --list\` tells)`
  );
}

/** Inputs that say what is installed, where that is there already. */
function refuseInstallInputs(
  what: string,
  there: {namespace: string; name: string} | null,
  installs: ExistingCluster['installs']
): void {
  const names = [
    ...(['operator-version', 'operator-chart', 'operator-image', 'operator-values'] as const),
    ...(installs.istio ? [] : (['istio-values', 'istio-cni'] as const))
  ].filter(isInputSet);
  if (names.length === 0) return;
  throw createInputFault(
    names
      .map(
        name =>
          `${name}: found a value, while ${there?.namespace}/${there?.name} is in this cluster already and is used as it is; accepted is none, or a cluster without ${installs.istio ? `an ${what}` : 'a mesh'}`
      )
      .join('\n')
  );
}

function refuseVersion(requested: string | null, version: string): void {
  if (requested === null || [version, version.slice(1), getMinor(version)].includes(requested))
    return;
  throw createInputFault(
    `istio-version: found "${requested}", while the mesh in this cluster is ${version} and is used as it is; accepted is ${version}, or none`
  );
}

/** A mesh of ours would take everybody who asks for one. */
function refuseSidecarRequests({namespaces, podsRequestingSidecar}: ClusterSurvey): void {
  const others = namespaces
    .filter(
      ({labels}) => labels['istio-injection'] === 'enabled' || labels['istio.io/rev'] !== undefined
    )
    .map(({name}) => `Namespace ${name}`);
  const [first, ...more] = [...others, ...podsRequestingSidecar.map(pod => `Pod ${pod}`)];
  if (first === undefined) return;
  throw createInputFault(
    `cluster: found no mesh, and ${first}${more.length > 0 ? ` and ${more.length} more` : ''} that ask for a sidecar: a mesh installed here would inject into them; accepted is a cluster where nobody asks, or one with a mesh`
  );
}

/** Throws a Fault of class `input` where a namespace of these manifests is there already. */
export function refuseExistingNamespaces(
  manifests: string,
  {namespaces}: Pick<ClusterSurvey, 'namespaces'>
): void {
  const wanted = readYamlDocuments(manifests).map(one => one.getIn(['metadata', 'name']));
  const taken = namespaces.filter(({name}) => wanted.includes(name));
  if (taken.length === 0) return;
  const names = taken.map(({name, labels}) => {
    const run = labels[runLabel];
    return run === undefined ? name : `${name} (of the run ${run})`;
  });
  throw createInputFault(
    `cluster: found the namespace${names.length > 1 ? 's' : ''} ${names.join(', ')}, which this run would make and remove; accepted is a cluster without ${names.length > 1 ? 'them' : 'it'}`
  );
}

/** The namespaces of what is installed. */
export const getInstalledNamespaces = (
  {installs, cni}: ExistingCluster,
  usesCni: boolean
): string[] => [
  ...(installs.operator ? [operatorNamespace] : []),
  ...(installs.istio ? [istioNamespace, ...(usesCni && !cni ? [cniNamespace] : [])] : [])
];

/** What is known of the operator that is there, as if it were read from its chart; of a mesh that is used, that version alone. */
export function describeInstalledChart({operator, mesh}: ExistingCluster): Chart {
  const version = parseImageVersion(operator?.image ?? '')?.slice(1) ?? '';
  const here = {path: '', crds: '', url: null};
  if (mesh !== null || operator === null)
    return {
      ...here,
      name: operator?.name ?? '',
      version,
      image: operator?.image ?? null,
      pullPolicy: null,
      istioReleases: [
        {...createReleaseWithoutImages(mesh?.version ?? ''), istiod: mesh?.image ?? ''}
      ],
      aliases: {},
      endOfLife: []
    };
  const about = stringify({name: operator.name, version: version || '1.0.0'});
  const values = stringify({
    image: operator.image,
    deployment: {annotations: operator.annotations}
  });
  return {...here, ...readChart(about, values, operator.crd)};
}
