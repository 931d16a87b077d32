/** Plans what a run uses and what it installs in an existing cluster. */
import {stringify} from 'yaml';
import {createInputFault, type Fault} from '../base/fault.ts';
import {readYamlDocuments} from '../base/yaml.ts';
import {type Inputs, isInputSet} from '../inputs/inputs.ts';
import {type Permission, runLabel} from '../manifests/existing-cluster-manifests.ts';
import {cniNamespace, istioNamespace, operatorNamespace} from '../manifests/istio-resources.ts';
import type {Family} from '../results/results.ts';
import {getMinor} from '../versions/istio-versions.ts';
import {type Chart, createReleaseWithoutImages, readChart} from '../versions/read-chart.ts';

/** The state of an existing cluster before the run creates anything in it. */
export interface ClusterSurvey {
  /** The context of the kubeconfig, and the name of its cluster. */
  context: string;
  name: string;
  /** Version of the API server, `v1.34.4`. */
  kubernetes: string;
  /** The families of a RequireDualStack Service, primary first; empty if the API server refused it. */
  families: Family[];
  /** The error of the API server for that Service; empty if it was accepted. */
  refused: string;
  /** The permissions that the kubeconfig lacks. */
  denied: Permission[];
  openshift: boolean;
  /** Whether the cluster serves the Gateway API. */
  gatewayApi: boolean;
  namespaces: {name: string; labels: Record<string, string>}[];
  operators: FoundOperator[];
  istiods: FoundIstiod[];
  /** Names and versions of the Istio resources. */
  istios: {name: string; version: string | null}[];
  /** Whether an IstioCNI resource exists. */
  cni: boolean;
  /** The revisions and tags with an injection webhook. */
  injectors: {revision: string; tag: string | null}[];
  /** `NAMESPACE/NAME` of pods that request a sidecar by their own labels. */
  podsRequestingSidecar: string[];
  /** `NAMESPACE/NAME` of the ConfigMaps that an istiod created. */
  configMaps: string[];
  /** Namespaces with a STRICT PeerAuthentication for all workloads. */
  strict: string[];
}

export interface FoundOperator {
  namespace: string;
  name: string;
  image: string;
  /** Annotations of its pods, which name the images that it can install. */
  annotations: Record<string, string>;
  /** The CRD of the Istio resource, as YAML. */
  crd: string;
}

export interface FoundIstiod {
  namespace: string;
  name: string;
  revision: string;
  image: string;
}

/** What a run uses of an existing cluster, and what it installs there. */
export interface ExistingCluster {
  /** The label value of every object that this run creates. */
  run: string;
  installs: {operator: boolean; istio: boolean};
  /** The existing operator and mesh that the run uses; null: the run installs its own, or needs none. */
  operator: FoundOperator | null;
  mesh: (FoundIstiod & {version: string; resource: string | null}) | null;
  /** Whether the run uses an existing IstioCNI. */
  cni: boolean;
  /** Why sidecars in this cluster refuse plaintext; null: they accept it. */
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
 * Which parts of the existing mesh the run uses, and which it installs. Pure. Throws a Fault of class `input` if neither
 * is possible: the run never overwrites existing objects.
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

/** The mesh that injects by this label; null if the cluster has no mesh. Throws a Fault if another mesh exists. */
function chooseMesh(label: string, found: ClusterSurvey): ExistingCluster['mesh'] {
  const {istiods, istios, injectors} = found;
  if (istiods.length === 0 && istios.length > 0)
    throw createInputFault(
      `Invalid \`cluster\` "existing": expected a running mesh or no mesh, but the Istio resource ${istios.map(({name}) => name).join(', ')} has no istiod Deployment`
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
    `Invalid \`injection-label\` "${label}": expected ${labels.length > 0 ? `a label by which a mesh in this cluster injects: ${labels.join(', ')}` : 'an injection webhook, but the running istiod has none'}`
  );
}

/** `registry.example/pilot:1.30.3-distroless` → `v1.30.3`; null if the tag is no version. */
const parseImageVersion = (image: string): string | null => {
  const [, version] = /:v?(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)[\w.]*)?)/.exec(image) ?? [];
  return version === undefined ? null : `v${version}`;
};

function refuseDenied({denied}: ClusterSurvey, installs: ExistingCluster['installs']): void {
  const missing = denied.filter(right => right.for === undefined || installs[right.for]);
  if (missing.length === 0) return;
  const names = missing.map(({verb, resource}) => `${verb} ${resource}`).join(', ');
  throw createInputFault(
    `Invalid \`kubeconfig\`: expected a user that may ${names} in all namespaces (\`kubectl auth can-i --list\` lists the permissions)`
  );
}

/** Throws a Fault for inputs that configure an installation which the run skips. */
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
          `Invalid \`${name}\`: expected no value, because the run uses the existing ${there?.namespace}/${there?.name} unchanged. Remove this input, or use a cluster without ${installs.istio ? `an ${what}` : 'a mesh'}`
      )
      .join('\n')
  );
}

function refuseVersion(requested: string | null, version: string): void {
  if (requested === null || [version, version.slice(1), getMinor(version)].includes(requested))
    return;
  throw createInputFault(
    `Invalid \`istio-version\` "${requested}": expected ${version} or no value, because the run uses the existing mesh ${version} unchanged`
  );
}

/** Throws a Fault if other workloads request sidecars: a mesh of this run would inject into them. */
function refuseSidecarRequests({namespaces, podsRequestingSidecar}: ClusterSurvey): void {
  const others = namespaces
    .filter(
      ({labels}) => labels['istio-injection'] === 'enabled' || labels['istio.io/rev'] !== undefined
    )
    .map(({name}) => `Namespace ${name}`);
  const [first, ...more] = [...others, ...podsRequestingSidecar.map(pod => `Pod ${pod}`)];
  if (first === undefined) return;
  throw createInputFault(
    `Invalid \`cluster\` "existing": expected a mesh, or no workloads that request sidecars. ${first}${more.length > 0 ? ` and ${more.length} more` : ''} would get sidecars from the mesh of this run`
  );
}

/** Throws a Fault of class `input` if a namespace of these manifests already exists. */
export function refuseExistingNamespaces(
  manifests: string,
  {namespaces}: Pick<ClusterSurvey, 'namespaces'>
): void {
  const wanted = readYamlDocuments(manifests).map(one => one.getIn(['metadata', 'name']));
  const taken = namespaces.filter(({name}) => wanted.includes(name));
  if (taken.length === 0) return;
  const names = taken.map(({name, labels}) => {
    const run = labels[runLabel];
    return run === undefined ? name : `${name} (from run ${run})`;
  });
  throw createInputFault(
    `Invalid \`cluster\` "existing": expected no namespace ${names.join(', ')}, which this run creates and removes. Remove ${names.length > 1 ? 'these namespaces' : 'this namespace'}, or run one check per cluster at a time`
  );
}

/** The namespaces into which this run installs. */
export const getInstalledNamespaces = (
  {installs, cni}: ExistingCluster,
  usesCni: boolean
): string[] => [
  ...(installs.operator ? [operatorNamespace] : []),
  ...(installs.istio ? [istioNamespace, ...(usesCni && !cni ? [cniNamespace] : [])] : [])
];

/** The existing operator in the form of a chart. With an existing mesh, it offers only the version of that mesh. */
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
