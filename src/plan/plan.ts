/** Builds the plan of a run, a plain value, from inputs, chart and samples. */
import * as path from 'node:path';
import {stringify} from 'yaml';
import {createInputFault} from '../base/fault.ts';
import {hasLatestTag, normalizeImageName} from '../base/image.ts';
import type {ImageOwner} from '../base/kube.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {isImage, quoteValue, type Values} from '../inputs/readers.ts';
import {
  clientSample,
  documentedSamples,
  documentedWorkloads,
  plainNamespace,
  renderBuiltInSamples,
  renderNamespaceYaml,
  renderPlainYaml,
  type Sample,
  splitManifests
} from '../manifests/documented-samples.ts';
import {getRunLabels, samplesLabel} from '../manifests/existing-cluster-manifests.ts';
import type {ExtraSample, SampleImages, Workload} from '../manifests/extra-sample.ts';
import {
  ambientLabel,
  cniNamespace,
  getIstiodName,
  getRevisionName,
  hasImageValues,
  type IstioImages,
  istioNamespace,
  operatorNamespace,
  renderIstioCniYaml,
  renderIstioYaml,
  renderRevisionTagYaml,
  renderZtunnelYaml,
  ztunnelNamespace
} from '../manifests/istio-resources.ts';
import {buildKindConfig, getNodeNames, renderKindYaml} from '../manifests/kind.ts';
import {renderStrictYaml} from '../manifests/strict.ts';
import type {Family} from '../results/results.ts';
import {defaultHub, describeRetired, moveToHub} from '../versions/hub.ts';
import {resolveIstioVersion} from '../versions/istio-versions.ts';
import {describeMissingAmbient} from '../versions/operator-versions.ts';
import {clientImage, echoImage} from '../versions/pins.ts';
import type {Chart} from '../versions/read-chart.ts';
import {resolveUpgradeFrom, type UpdateStrategy} from '../versions/upgrade-path.ts';
import {type ExistingCluster, getInstalledNamespaces} from './existing-cluster.ts';
import {type ChosenImages, chooseImages, noImages} from './istio-images.ts';
import {chooseNodes, describeExistingNodes, type NodePlan} from './nodes.ts';

/** The phase that needs an image. */
export type ImageUser = 'operator' | 'istiod' | 'samples' | 'upgrade';

/** Everything that a run will do, as a printable value. */
export interface Plan {
  /** The private directory of this run. */
  directory: string;
  cluster: NodePlan & {
    name: string;
    /** Primary family first. In an existing cluster: the families of a RequireDualStack Service. */
    families: Family[];
    nodes: string[];
    /** Whether the cluster has the optimizations for a faster startup. */
    tuned: boolean;
    context: string;
    kubeconfig: string;
  };
  /** The plan for an existing cluster; null: the run creates a kind cluster. */
  existing: ExistingCluster | null;
  operator: {
    /** The namespace of its Deployment. */
    namespace: string;
    name: string;
    chart: string;
    crds: string;
    url: string | null;
    version: string;
    image: string | null;
    /** The pull policy that overrides the chart's; null: no override. */
    pullPolicy: 'IfNotPresent' | null;
    values: boolean;
  };
  /** The image of `operator-image`, which the operator must run; null: not set. */
  requestedOperatorImage: string | null;
  istio: {
    /** The version in the Istio resource; null: the operator's default. */
    requestedVersion: string | null;
    /** The resulting version; null if the chart does not name it. */
    expected: string | null;
    cni: boolean;
    ambient: boolean;
    /** The expected images of its pods; empty texts where they are unknown. */
    images: IstioImages;
    /** The namespace of istiod, and the name of its Deployment. */
    namespace: string;
    istiod: string;
    /** The name of the Istio resource; null: the mesh has no such resource. */
    resource: string | null;
  };
  /** The upgrade under load; null: none. `istio` above is the state before it. */
  upgrade: Upgrade | null;
  /** The images of the pods, in the order in which the nodes load them. */
  images: Record<ImageUser, string[]>;
  /** The image of the sidecars, also in `images.samples`; empty if the chart does not name it. */
  proxy: string;
  /** Registry prefix of Istio's images; null: the names of the chart or of the existing mesh. */
  hub: string | null;
  /** Image → its original name in the chart or the samples, if `hub` replaced it. The local Docker may have either name. */
  otherNames: Record<string, string>;
  /** Image → the input that names it. */
  imageInputs: Record<string, string>;
  /** The input that may name other images; null: none does. */
  otherImagesInput: 'istio-values' | null;
  /** File name → contents, written to `directory` before the phases start. */
  files: Record<string, string>;
  /** The workloads whose pods must be ready before the checks start. */
  workloads: Workload[];
  /** The workloads of the checks' own samples, which start after the documented ones. */
  extraWorkloads: Workload[];
  /** Whether the run installs the CRDs of the Gateway API. */
  gatewayApi: boolean;
  /** The files that reports may show: without the YAML of inputs, which may hold credentials, and IstioCNI in its own file. */
  shownFiles: Record<string, string>;
  probes: {retries: number; seconds: number};
}

export interface Upgrade {
  strategy: UpdateStrategy;
  /** Whole versions, `v1.29.6`. */
  from: string;
  to: string;
  /** Names of the IstioRevision before and after; equal for an in-place upgrade. */
  revisions: [before: string, after: string];
  istio: Plan['istio'];
}

/** The plan of the same run after the upgrade. */
export const getPlanAfterUpgrade = (plan: Plan): Plan =>
  plan.upgrade === null ? plan : {...plan, istio: plan.upgrade.istio};

/** The documented sample files by name, from `samples` or built in. */
export type SampleFiles = Record<string, string>;

/** Returns the plan. Pure. Throws a Fault of class `input` if the inputs do not fit the chart, the samples or the cluster. */
export function buildPlan(
  inputs: Inputs,
  chart: Chart,
  sampleFiles: SampleFiles | null,
  directory: string,
  kindVersion: string,
  checkSamples: ExtraSample[] = [],
  existing: ExistingCluster | null = null
): Plan {
  const extraSamples = checkSamples.filter(({needs}) => isSampleSupported(needs, existing));
  const target = resolveIstioVersion(inputs['istio-version'], chart);
  const upgradeFrom = inputs['upgrade-from'];
  const offer = upgradeFrom === null ? target : resolveUpgradeFrom(upgradeFrom, target, chart);
  const strategy = upgradeFrom === null ? undefined : inputs['upgrade-strategy'];
  const nodes =
    existing === null
      ? chooseNodes(inputs, kindVersion, offer?.version ?? null)
      : describeExistingNodes(existing.found.kubernetes);
  const ambient = inputs['dataplane-mode'] === 'ambient';
  if (ambient) refuseOldOperator(chart.version);
  const cni =
    inputs['istio-cni'] === 'auto'
      ? ambient || (existing?.found.openshift ?? false)
      : inputs['istio-cni'] === 'true';
  const hub = existing?.mesh ? null : inputs['istio-hub']; // an existing mesh keeps its images
  const before = chooseImages(offer, hub, inputs['operator-values']);
  const after = chooseImages(target, hub, inputs['operator-values']);
  const mesh = {
    images: before.changed,
    hub,
    version: (upgradeFrom ?? inputs['istio-version']) === null ? null : (offer?.version ?? null),
    values: inputs['istio-values'],
    cni,
    ambient,
    run: existing?.run,
    strategy
  };
  const withoutValues = {...mesh, values: null};
  const manifests = renderSamples(inputs, sampleFiles, extraSamples, before.all.proxy || null);
  const operatorImage =
    inputs['operator-image'] ?? getValuesImage(inputs['operator-values']) ?? chart.image;
  const images = {
    operator: removeDuplicates([operatorImage ?? '']),
    istiod: removeDuplicates([
      before.all.istiod,
      cni ? before.all.cni : '',
      ambient ? before.all.ztunnel : ''
    ]),
    // in ambient only a waypoint or gateway needs the proxy image, and later
    samples: removeDuplicates([
      ambient ? '' : before.all.proxy,
      ...manifests.images,
      extraSamples.some(({needs}) => needs === 'gateway-api') ? before.all.proxy : ''
    ]),
    upgrade:
      upgradeFrom === null
        ? []
        : removeDuplicates([after.all.istiod, cni ? after.all.cni : '', after.all.proxy])
  };
  refuseInvalidImages(Object.values(images).flat());
  const name = inputs['cluster-name'];
  const common = {
    'namespaces.yaml': renderNamespacesYaml(inputs, extraSamples, cni, existing),
    'services.yaml': joinDocuments(manifests.early),
    'plain.yaml': joinDocuments(manifests.plain),
    'samples.yaml': joinDocuments(manifests.meshed),
    ...(manifests.more.length > 0 ? {'more-samples.yaml': joinDocuments(manifests.more)} : {}),
    'strict.yaml': renderStrictYaml(),
    ...(manifests.resources.length > 0
      ? {'resources.yaml': joinDocuments(manifests.resources)}
      : {})
  };
  const istio = {
    requestedVersion: mesh.version,
    expected: offer?.version ?? null,
    images: getExpectedImages(before, inputs, existing),
    cni,
    ambient,
    namespace: existing?.mesh?.namespace ?? istioNamespace,
    istiod: existing?.mesh?.name ?? 'istiod',
    resource: existing?.mesh ? existing.mesh.resource : 'default'
  };
  const upgrade =
    strategy === undefined || !offer || !target
      ? null
      : buildUpgrade(
          {...istio, images: {...getExpectedImages(after, inputs, existing), cni: ''}}, // the run does not wait for its DaemonSet
          offer.version,
          target.version,
          strategy
        );
  const upgraded = {...mesh, version: upgrade?.to ?? null, images: after.changed};
  const tag =
    strategy === 'RevisionBased'
      ? [renderRevisionTagYaml(getRevisionTag(inputs['injection-label']))]
      : [];
  return {
    directory,
    cluster: {
      name: existing?.found.name ?? name,
      ...nodes,
      families: existing?.found.families ?? inputs['ip-families'],
      nodes: existing === null ? getNodeNames(name, nodes.config) : [],
      tuned: inputs.tuned,
      context: existing?.found.context ?? `kind-${name}`,
      kubeconfig: path.join(directory, 'kubeconfig')
    },
    existing,
    operator: {
      namespace: existing?.operator?.namespace ?? operatorNamespace,
      name: existing?.operator?.name ?? 'sail-operator',
      chart: chart.path,
      crds: chart.crds,
      url: chart.url,
      version: chart.version,
      image: operatorImage,
      pullPolicy:
        existing === null
          ? resolvePullPolicy(operatorImage, chart.pullPolicy, inputs['operator-values'])
          : null, // its nodes may have an old image

      values: inputs['operator-values'] !== null
    },
    requestedOperatorImage: inputs['operator-image'],
    istio: upgrade ? {...istio, istiod: getIstiodName(upgrade.revisions[0])} : istio,
    upgrade,
    images,
    proxy: before.all.proxy,
    hub,
    otherNames: {...before.chartNames, ...after.chartNames, ...manifests.otherNames},
    imageInputs: mapImagesToInputs(
      inputs,
      sampleFiles === null ? [] : manifests.documented,
      Object.keys({...before.chartNames, ...after.chartNames, ...manifests.otherNames})
    ),
    otherImagesInput: inputs['istio-values'] === null ? null : 'istio-values',
    files: {
      ...(existing === null ? {'kind.yaml': renderKindYaml(nodes.config)} : {}),
      ...common,
      'istio.yaml': joinDocuments([
        ...(cni && !existing?.cni ? [renderIstioCniYaml(mesh)] : []),
        renderIstioYaml(mesh),
        ...(ambient ? [renderZtunnelYaml(mesh)] : [])
      ]),
      ...(tag.length > 0 && {'revision-tag.yaml': joinDocuments(tag)}),
      ...(upgrade && {
        'upgrade.yaml': joinDocuments([
          renderIstioYaml(upgraded), // as documented, istiod first
          ...(cni ? [renderIstioCniYaml(upgraded)] : [])
        ])
      }),
      ...(inputs['operator-values'] === null
        ? {}
        : {'operator-values.yaml': stringify(inputs['operator-values'])})
    },
    workloads: documentedWorkloads,
    extraWorkloads: manifests.pods,
    gatewayApi: existing === null && extraSamples.some(({needs}) => needs === 'gateway-api'),
    shownFiles: {
      ...(existing === null
        ? {
            'kind.yaml': renderKindYaml(
              buildKindConfig(inputs['ip-families'], null, nodes.image, inputs.tuned)
            )
          }
        : {}),
      ...common,
      ...(cni && !existing?.cni ? {'istio-cni.yaml': renderIstioCniYaml(withoutValues)} : {}),
      'istio.yaml': renderIstioYaml(withoutValues),
      ...(tag.length > 0 && {'revision-tag.yaml': joinDocuments(tag)}),
      ...(upgrade && {'upgrade.yaml': renderIstioYaml({...upgraded, values: null})}),
      ...(upgrade && cni && {'upgrade-cni.yaml': renderIstioCniYaml(upgraded)}),
      ...(ambient ? {'ztunnel.yaml': renderZtunnelYaml(mesh)} : {})
    },
    probes: {retries: inputs.retries, seconds: inputs['check-timeout']}
  };
}

/** The source of Istio's images, in one sentence; null for an existing mesh. */
export function describeHub(plan: Plan): string | null {
  const {hub, existing, otherNames, istio, otherImagesInput} = plan;
  if (existing?.mesh) return null;
  if (otherImagesInput !== null && istio.images.istiod === '')
    return `\`${otherImagesInput}\` sets images of Istio; the others come from ${hub ?? "where the operator's chart names them"}`;
  if (hub === null) return "Istio's images come from where the operator's chart names them";
  const replaced = [
    ...new Set(Object.values(otherNames).map(name => name.replace(/\/[^/]*$/, '')))
  ];
  return `Istio's images come from ${hub}${replaced.length === 0 ? '' : ` instead of ${replaced.join(' and ')}`}`;
}

/** The upgrade, with the state of the mesh after it. */
function buildUpgrade(
  istio: Plan['istio'],
  from: string,
  to: string,
  strategy: UpdateStrategy
): Upgrade {
  const revisions: Upgrade['revisions'] = [
    getRevisionName(from, strategy),
    getRevisionName(to, strategy)
  ];
  return {
    strategy,
    from,
    to,
    revisions,
    istio: {...istio, requestedVersion: to, expected: to, istiod: getIstiodName(revisions[1])}
  };
}

/** The revision tag that a namespace with this label uses. */
const getRevisionTag = (label: string): string =>
  /^istio\.io\/rev=(.*)/.exec(label)?.[1] ?? 'default';

/** Whether the cluster has what a sample needs. In a kind cluster the run creates it. */
const isSampleSupported = (
  needs: ExtraSample['needs'],
  existing: ExistingCluster | null
): boolean =>
  existing === null ||
  needs === undefined ||
  (needs === 'gateway-api' && existing.found.gatewayApi);

/** The manifests of all namespaces that the run creates. In an existing cluster they carry the label of the run. */
function renderNamespacesYaml(
  inputs: Inputs,
  own: ExtraSample[],
  cni: boolean,
  existing: ExistingCluster | null
): string {
  const ours = existing === null ? {} : getRunLabels(existing.run);
  const sampleLabels = existing === null ? {} : {...ours, [samplesLabel]: 'true'};
  const installed =
    existing === null
      ? [
          istioNamespace,
          ...(cni ? [cniNamespace] : []),
          ...(inputs['dataplane-mode'] === 'ambient' ? [ztunnelNamespace] : [])
        ]
      : getInstalledNamespaces(existing, cni);
  const label = inputs['dataplane-mode'] === 'ambient' ? ambientLabel : inputs['injection-label'];
  return joinDocuments([
    ...installed.map(name => renderNamespaceYaml(name, null, ours)),
    ...documentedSamples.map(({namespace}) => renderNamespaceYaml(namespace, label, sampleLabels)),
    renderNamespaceYaml(plainNamespace, null, sampleLabels),
    ...getExtraNamespaces(own).map(({namespace, sidecars, labels}) =>
      renderNamespaceYaml(namespace, sidecars ? label : null, {...labels, ...sampleLabels})
    )
  ]);
}

/** The documented samples and the checks' own samples, split by when the run applies them. */
function renderSamples(
  inputs: Inputs,
  given: SampleFiles | null,
  own: ExtraSample[],
  proxy: string | null
) {
  const hub = inputs['istio-hub'];
  const builtInEcho = moveToHub(echoImage, hub ?? defaultHub); // the chart does not name it
  const otherNames: Record<string, string> =
    inputs['echo-image'] === null ? {[builtInEcho]: echoImage} : {};
  const images: SampleImages = {
    proxy,
    echo: inputs['echo-image'] ?? builtInEcho,
    client: inputs['client-image'] ?? clientImage
  };
  const sources = given ?? renderBuiltInSamples(images);
  const getRequestedImage = ({app}: Sample) =>
    inputs[app === clientSample.app ? 'client-image' : 'echo-image'];
  const rename = (sample: Sample) => (name: string) => {
    const image = getRequestedImage(sample) ?? moveToHub(name, hub);
    if (getRequestedImage(sample) === null && image !== name) otherNames[image] = name;
    return image;
  };
  const documented = documentedSamples.map(sample =>
    splitManifests(
      sources[sample.file] ?? '',
      sample.namespace,
      given === null ? undefined : rename(sample)
    )
  );
  const ours = own.map(sample => splitManifests(sample.manifests(images), sample.namespace));
  const plain = splitManifests(renderPlainYaml(images), plainNamespace);
  const all = [...documented, plain, ...ours];
  return {
    early: all.flatMap(split => split.immediate),
    resources: all.flatMap(split => split.customResources),
    plain: plain.workloads,
    meshed: documented.flatMap(split => split.workloads),
    more: ours.flatMap(split => split.workloads),
    images: all.flatMap(split => split.images),
    documented: documented.flatMap(split => split.images),
    pods: ours.flatMap(split => split.pods),
    otherNames
  };
}

/** The own samples, one for each namespace that is not a documented one. */
function getExtraNamespaces(own: ExtraSample[]): ExtraSample[] {
  const taken = new Set([...documentedSamples.map(({namespace}) => namespace), plainNamespace]);
  const byName = new Map(own.map(sample => [sample.namespace, sample]));
  return [...byName.values()].filter(({namespace}) => !taken.has(namespace));
}

function refuseOldOperator(version: string): void {
  const lacks = describeMissingAmbient(version);
  if (lacks !== null)
    throw createInputFault(
      `Invalid \`dataplane-mode\` "ambient": expected \`sidecar\` or a newer operator, because ${lacks}`
    );
}

const getValuesImage = (values: Values | null): string | null =>
  typeof values?.image === 'string' ? values.image : null;

/**
 * `IfNotPresent` if Kubernetes would pull over a preloaded image: for the tag `latest`, for no tag, or by the chart.
 * Null otherwise. A policy in `operator-values` takes precedence.
 */
function resolvePullPolicy(
  image: string | null,
  chartPolicy: string | null,
  values: Values | null
): 'IfNotPresent' | null {
  if (image === null || values?.imagePullPolicy !== undefined) return null;
  const policy = chartPolicy ?? (hasLatestTag(image) ? 'Always' : 'IfNotPresent');
  return policy === 'Always' ? 'IfNotPresent' : null;
}

/** The class and the input to blame for an image that cannot be pulled; null if this run does not name the image. */
export function findImageOwner(plan: Plan, image: string): ImageOwner | null {
  const owner = findOwner(plan, image);
  const retired = describeRetired(image);
  if (retired === null) return owner;
  const input = owner?.input ?? null;
  return {class: input === null ? 'infrastructure' : 'input', input, retired};
}

function findOwner(
  {images, proxy, imageInputs, otherImagesInput}: Plan,
  image: string
): ImageOwner | null {
  const isIn = (list: string[]) =>
    list.some(name => normalizeImageName(name) === normalizeImageName(image));
  const input = Object.entries(imageInputs).find(([name]) => isIn([name]))?.[1];
  if (input !== undefined) return {class: 'input', input};
  if (isIn(images.operator)) return {class: 'operator', input: null};
  if (isIn([...images.istiod, ...images.upgrade, proxy])) return {class: 'istio', input: null};
  if (isIn(images.samples)) return {class: 'infrastructure', input: null};
  return otherImagesInput === null ? null : {class: 'input', input: otherImagesInput};
}

function mapImagesToInputs(
  inputs: Inputs,
  sampleImages: string[],
  moved: string[]
): Record<string, string> {
  const valuesImage = getValuesImage(inputs['operator-values']);
  return Object.fromEntries([
    ...(inputs['istio-hub'] !== defaultHub ? moved.map(image => [image, 'istio-hub']) : []),
    ...sampleImages.map(image => [image, 'samples']),
    ...(valuesImage === null ? [] : [[valuesImage, 'operator-values']]),
    ...(['operator-image', 'echo-image', 'client-image'] as const).flatMap(input =>
      inputs[input] === null ? [] : [[inputs[input], input]]
    )
  ]);
}

/** The expected images of the mesh; empty texts where `istio-values` or an existing mesh choose them. */
function getExpectedImages(
  {all}: ChosenImages,
  inputs: Inputs,
  existing: ExistingCluster | null
): IstioImages {
  if (existing?.mesh) return noImages;
  return hasImageValues(inputs['istio-values']) ? {...all, istiod: '', proxy: ''} : all;
}

/** Throws a Fault for an invalid image name: Docker would parse a leading dash as a flag. */
function refuseInvalidImages(images: string[]): void {
  const odd = images.find(name => !isImage(name));
  if (odd === undefined) return;
  throw createInputFault(
    `Invalid image ${quoteValue(odd)} in \`operator-chart\`, \`operator-values\` or \`samples\`: expected a reference such as \`quay.io/org/name:tag\``
  );
}

const removeDuplicates = (images: string[]): string[] => [
  ...new Set(images.filter(name => name !== ''))
];

const joinDocuments = (documents: string[]): string => documents.join('---\n');
