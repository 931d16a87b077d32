import * as path from 'node:path';
import {stringify} from 'yaml';
import {badInput} from '../base/fault.ts';
import {isLatest, wholeName} from '../base/image.ts';
import type {ImageOwner} from '../base/kube.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {isImage, quoted, type Values} from '../inputs/readers.ts';
import {
  builtIn,
  client,
  namespaceYaml,
  plainNamespace,
  plainYaml,
  type Sample,
  samples,
  splitManifests,
  workloads
} from '../manifests/documented-samples.ts';
import {labelsOf, samplesLabel} from '../manifests/existing-cluster-manifests.ts';
import type {OwnSample, SampleImages, Workload} from '../manifests/extra-sample.ts';
import {
  ambientLabel,
  cniNamespace,
  type IstioImages,
  istioCniYaml,
  istiodOf,
  istioNamespace,
  istioYaml,
  namesImages,
  operatorNamespace,
  revisionOf,
  revisionTagYaml,
  ztunnelNamespace,
  ztunnelYaml
} from '../manifests/istio-resources.ts';
import {kindConfig, kindYaml, nodeNames} from '../manifests/kind.ts';
import {strictYaml} from '../manifests/strict.ts';
import type {Family} from '../results/results.ts';
import {defaultHub, describeRetired, moveToHub} from '../versions/hub.ts';
import {chooseIstio} from '../versions/istio-versions.ts';
import {lacksForAmbient} from '../versions/operator-versions.ts';
import {clientImage, echoImage} from '../versions/pins.ts';
import type {Chart} from '../versions/read-chart.ts';
import {chooseFrom, type Strategy} from '../versions/upgrade-path.ts';
import {type Existing, installedNamespaces} from './existing-cluster.ts';
import {type ChosenImages, chooseImages, noImages} from './istio-images.ts';
import {chooseNodes, type Nodes, noNodes} from './nodes.ts';

/** What a phase needs images for. */
export type ImageUser = 'operator' | 'istiod' | 'samples' | 'upgrade';

/** Everything that a run is going to do: a value that can be printed, before anything is made. */
export interface Plan {
  /** The private directory of this run. */
  directory: string;
  cluster: Nodes & {
    name: string;
    /** The primary one first. Of a cluster that was there: those that it gave a Service that must have both. */
    families: Family[];
    nodes: string[];
    /** With all that only saves time. */
    tuned: boolean;
    context: string;
    kubeconfig: string;
  };
  /** Where the cluster is there already: what is used of it, and what is made in it. Null: it is a kind cluster of ours. */
  existing: Existing | null;
  operator: {
    /** Where its Deployment is. */
    namespace: string;
    name: string;
    chart: string;
    crds: string;
    url: string | null;
    version: string;
    image: string | null;
    /** When the nodes pull it, where that is not left to the chart. */
    pullPolicy: 'IfNotPresent' | null;
    values: boolean;
  };
  /** The image that the operator must run, when one was asked for. */
  operatorImageAsked: string | null;
  istio: {
    /** The version in the Istio resource; null: the operator's default. */
    asked: string | null;
    /** The version that comes of it; null where the chart does not tell. */
    expected: string | null;
    cni: boolean;
    ambient: boolean;
    /** What its pods are expected to run; empty where nothing tells. */
    images: IstioImages;
    /** Where istiod is, and its name without a revision's version. */
    namespace: string;
    istiod: string;
    /** The name of the Istio resource; null: the mesh has none. */
    resource: string | null;
  };
  /** What the mesh becomes under load; null: it stays as it is. `istio` above is what it is before. */
  upgrade: Upgrade | null;
  /** What the pods will run, in the order in which the nodes get it. */
  images: Record<ImageUser, string[]>;
  /** That of the sidecars, which is among those of the samples; empty where the chart does not tell. */
  proxy: string;
  /** Registry prefix of Istio's images; null: each is where the chart, or the mesh that is there, names it. */
  hub: string | null;
  /** Image → its name in the chart or in the samples, where `hub` replaced that; the local Docker may have it by either. */
  otherNames: Record<string, string>;
  /** Image → the input that names it. */
  named: Record<string, string>;
  /** The input that names an image which is in none of these lists; null: none does. */
  namesOthers: 'istio-values' | null;
  /** Name → contents, written to `directory` beforehand; kind.yaml with what the nodes mount. */
  files: Record<string, string>;
  /** Whose pods are waited for before anything is checked. */
  workloads: Workload[];
  /** Those that checks bring along; they come after the documentation's. */
  moreWorkloads: Workload[];
  /** Whether the CRDs of the Gateway API are to be made. */
  gatewayApi: boolean;
  /** Those of them that may be shown: as they are without the YAML that was given, which may hold credentials; IstioCNI by itself. */
  shown: Record<string, string>;
  probes: {retries: number; seconds: number};
}

export interface Upgrade {
  strategy: Strategy;
  /** As whole versions, `v1.29.6`. */
  from: string;
  to: string;
  /** Names of the operator's IstioRevision before and after; in place it is one. */
  revisions: [before: string, after: string];
  istio: Plan['istio'];
}

/** The plan of the same run for what comes after the upgrade. */
export const afterUpgrade = (plan: Plan): Plan =>
  plan.upgrade === null ? plan : {...plan, istio: plan.upgrade.istio};

/** The documentation's sample files, by their names there; from `samples` or built in. */
export type SampleFiles = Record<string, string>;

/** Inputs, the chart, the samples, the version of kind and what the checks need beside them → the plan. Pure. Throws a Fault of class `input`. */
export function makePlan(
  inputs: Inputs,
  chart: Chart,
  given: SampleFiles | null,
  directory: string,
  kindVersion: string,
  samplesOfChecks: OwnSample[] = [],
  existing: Existing | null = null
): Plan {
  const own = samplesOfChecks.filter(({needs}) => isThere(needs, existing));
  const target = chooseIstio(inputs['istio-version'], chart);
  const asked = inputs['upgrade-from'];
  const offer = asked === null ? target : chooseFrom(asked, target, chart);
  const strategy = asked === null ? undefined : inputs['upgrade-strategy'];
  const nodes =
    existing === null
      ? chooseNodes(inputs, kindVersion, offer?.version ?? null)
      : noNodes(existing.found.kubernetes);
  const ambient = inputs['dataplane-mode'] === 'ambient';
  if (ambient) refuseOldZtunnel(chart.version);
  const cni =
    inputs['istio-cni'] === 'auto'
      ? ambient || (existing?.found.openshift ?? false)
      : inputs['istio-cni'] === 'true';
  const hub = existing?.mesh ? null : inputs['istio-hub']; // a mesh that is there keeps its images
  const before = chooseImages(offer, hub, inputs['operator-values']);
  const after = chooseImages(target, hub, inputs['operator-values']);
  const mesh = {
    images: before.changed,
    hub,
    version: (asked ?? inputs['istio-version']) === null ? null : (offer?.version ?? null),
    values: inputs['istio-values'],
    cni,
    ambient,
    run: existing?.run,
    strategy
  };
  const withoutValues = {...mesh, values: null};
  const manifests = sampleManifests(inputs, given, own, before.all.proxy || null);
  const operatorImage =
    inputs['operator-image'] ?? imageIn(inputs['operator-values']) ?? chart.image;
  const images = {
    operator: unique([operatorImage ?? '']),
    istiod: unique([
      before.all.istiod,
      cni ? before.all.cni : '',
      ambient ? before.all.ztunnel : ''
    ]),
    // in ambient only what istiod makes of a Gateway has it, and comes last
    samples: unique([
      ambient ? '' : before.all.proxy,
      ...manifests.images,
      own.some(({needs}) => needs === 'gateway-api') ? before.all.proxy : ''
    ]),
    upgrade:
      asked === null ? [] : unique([after.all.istiod, cni ? after.all.cni : '', after.all.proxy])
  };
  refuseOddImages(Object.values(images).flat());
  const name = inputs['cluster-name'];
  const common = {
    'namespaces.yaml': namespacesYaml(inputs, own, cni, existing),
    'services.yaml': join(manifests.early),
    'plain.yaml': join(manifests.plain),
    'samples.yaml': join(manifests.meshed),
    ...(manifests.more.length > 0 ? {'more-samples.yaml': join(manifests.more)} : {}),
    'strict.yaml': strictYaml(),
    ...(manifests.resources.length > 0 ? {'resources.yaml': join(manifests.resources)} : {})
  };
  const istio = {
    asked: mesh.version,
    expected: offer?.version ?? null,
    images: expectedImages(before, inputs, existing),
    cni,
    ambient,
    namespace: existing?.mesh?.namespace ?? istioNamespace,
    istiod: existing?.mesh?.name ?? 'istiod',
    resource: existing?.mesh ? existing.mesh.resource : 'default'
  };
  const upgrade =
    strategy === undefined || !offer || !target
      ? null
      : upgradeOf(
          {...istio, images: {...expectedImages(after, inputs, existing), cni: ''}}, // its DaemonSet is not waited for
          offer.version,
          target.version,
          strategy
        );
  const upgraded = {...mesh, version: upgrade?.to ?? null, images: after.changed};
  const tag =
    strategy === 'RevisionBased' ? [revisionTagYaml(tagOf(inputs['injection-label']))] : [];
  return {
    directory,
    cluster: {
      name: existing?.found.name ?? name,
      ...nodes,
      families: existing?.found.families ?? inputs['ip-families'],
      nodes: existing === null ? nodeNames(name, nodes.config) : [],
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
          ? pullPolicyOf(operatorImage, chart.pullPolicy, inputs['operator-values'])
          : null, // its nodes may have an old one

      values: inputs['operator-values'] !== null
    },
    operatorImageAsked: inputs['operator-image'],
    istio: upgrade ? {...istio, istiod: istiodOf(upgrade.revisions[0])} : istio,
    upgrade,
    images,
    proxy: before.all.proxy,
    hub,
    otherNames: {...before.chartNames, ...after.chartNames, ...manifests.otherNames},
    named: namedImages(
      inputs,
      given === null ? [] : manifests.documented,
      Object.keys({...before.chartNames, ...after.chartNames, ...manifests.otherNames})
    ),
    namesOthers: inputs['istio-values'] === null ? null : 'istio-values',
    files: {
      ...(existing === null ? {'kind.yaml': kindYaml(nodes.config)} : {}),
      ...common,
      'istio.yaml': join([
        ...(cni && !existing?.cni ? [istioCniYaml(mesh)] : []),
        istioYaml(mesh),
        ...(ambient ? [ztunnelYaml(mesh)] : [])
      ]),
      ...(tag.length > 0 && {'revision-tag.yaml': join(tag)}),
      ...(upgrade && {
        'upgrade.yaml': join([
          istioYaml(upgraded), // as documented, istiod first
          ...(cni ? [istioCniYaml(upgraded)] : [])
        ])
      }),
      ...(inputs['operator-values'] === null
        ? {}
        : {'operator-values.yaml': stringify(inputs['operator-values'])})
    },
    workloads,
    moreWorkloads: manifests.pods,
    gatewayApi: existing === null && own.some(({needs}) => needs === 'gateway-api'),
    shown: {
      ...(existing === null
        ? {
            'kind.yaml': kindYaml(
              kindConfig(inputs['ip-families'], null, nodes.image, inputs.tuned)
            )
          }
        : {}),
      ...common,
      ...(cni && !existing?.cni ? {'istio-cni.yaml': istioCniYaml(withoutValues)} : {}),
      'istio.yaml': istioYaml(withoutValues),
      ...(tag.length > 0 && {'revision-tag.yaml': join(tag)}),
      ...(upgrade && {'upgrade.yaml': istioYaml({...upgraded, values: null})}),
      ...(upgrade && cni && {'upgrade-cni.yaml': istioCniYaml(upgraded)}),
      ...(ambient ? {'ztunnel.yaml': ztunnelYaml(mesh)} : {})
    },
    probes: {retries: inputs.retries, seconds: inputs['check-timeout']}
  };
}

/** Where Istio's images come from, in one sentence; null where the mesh was there. */
export function describeHub({hub, existing, otherNames}: Plan): string | null {
  if (existing?.mesh) return null;
  if (hub === null) return "Istio's images come from where the operator's chart names them";
  const replaced = [
    ...new Set(Object.values(otherNames).map(name => name.replace(/\/[^/]*$/, '')))
  ];
  return `Istio's images come from ${hub}${replaced.length === 0 ? '' : ` instead of ${replaced.join(' and ')}`}`;
}

/** What the mesh becomes. */
function upgradeOf(istio: Plan['istio'], from: string, to: string, strategy: Strategy): Upgrade {
  const revisions: Upgrade['revisions'] = [revisionOf(from, strategy), revisionOf(to, strategy)];
  return {
    strategy,
    from,
    to,
    revisions,
    istio: {...istio, asked: to, expected: to, istiod: istiodOf(revisions[1])}
  };
}

/** The tag by which namespaces with this label find their revision. */
const tagOf = (label: string): string => /^istio\.io\/rev=(.*)/.exec(label)?.[1] ?? 'default';

/** Whether a cluster has what a sample needs: in one of ours, that is made. */
const isThere = (needs: OwnSample['needs'], existing: Existing | null): boolean =>
  existing === null ||
  needs === undefined ||
  (needs === 'gateway-api' && existing.found.gatewayApi);

/** All namespaces that are made; in a cluster that is not ours they are labelled, and must not be there. */
function namespacesYaml(
  inputs: Inputs,
  own: OwnSample[],
  cni: boolean,
  existing: Existing | null
): string {
  const ours = existing === null ? {} : labelsOf(existing.run);
  const ofSamples = existing === null ? {} : {...ours, [samplesLabel]: 'true'};
  const installed =
    existing === null
      ? [
          istioNamespace,
          ...(cni ? [cniNamespace] : []),
          ...(inputs['dataplane-mode'] === 'ambient' ? [ztunnelNamespace] : [])
        ]
      : installedNamespaces(existing, cni);
  const label = inputs['dataplane-mode'] === 'ambient' ? ambientLabel : inputs['injection-label'];
  return join([
    ...installed.map(name => namespaceYaml(name, null, ours)),
    ...samples.map(({namespace}) => namespaceYaml(namespace, label, ofSamples)),
    namespaceYaml(plainNamespace, null, ofSamples),
    ...ownNamespaces(own).map(({namespace, sidecars, labels}) =>
      namespaceYaml(namespace, sidecars ? label : null, {...labels, ...ofSamples})
    )
  ]);
}

/** The documentation's samples, and our own beside them. */
function sampleManifests(
  inputs: Inputs,
  given: SampleFiles | null,
  own: OwnSample[],
  proxy: string | null
) {
  const hub = inputs['istio-hub'];
  const builtInEcho = moveToHub(echoImage, hub ?? defaultHub); // the chart does not name it
  const otherNames: Record<string, string> = {[builtInEcho]: echoImage};
  const images: SampleImages = {
    proxy,
    echo: inputs['echo-image'] ?? builtInEcho,
    client: inputs['client-image'] ?? clientImage
  };
  const sources = given ?? builtIn(images);
  const imageOf = ({app}: Sample) => inputs[app === client.app ? 'client-image' : 'echo-image'];
  const rename = (sample: Sample) => (name: string) => {
    const image = imageOf(sample) ?? moveToHub(name, hub);
    if (imageOf(sample) === null && image !== name) otherNames[image] = name;
    return image;
  };
  const documented = samples.map(sample =>
    splitManifests(
      sources[sample.file] ?? '',
      sample.namespace,
      given === null ? undefined : rename(sample)
    )
  );
  const ours = own.map(sample => splitManifests(sample.manifests(images), sample.namespace));
  const plain = splitManifests(plainYaml(images), plainNamespace);
  const all = [...documented, plain, ...ours];
  return {
    early: all.flatMap(split => split.early),
    resources: all.flatMap(split => split.resources),
    plain: plain.workloads,
    meshed: documented.flatMap(split => split.workloads),
    more: ours.flatMap(split => split.workloads),
    images: all.flatMap(split => split.images),
    documented: documented.flatMap(split => split.images),
    pods: ours.flatMap(split => split.pods),
    otherNames
  };
}

/** The namespaces that are not the documentation's, once each. */
function ownNamespaces(own: OwnSample[]): OwnSample[] {
  const taken = new Set([...samples.map(({namespace}) => namespace), plainNamespace]);
  const byName = new Map(own.map(sample => [sample.namespace, sample]));
  return [...byName.values()].filter(({namespace}) => !taken.has(namespace));
}

function refuseOldZtunnel(version: string): void {
  const lacks = lacksForAmbient(version);
  if (lacks !== null)
    throw badInput(
      `dataplane-mode: found "ambient", and ${lacks}; accepted is \`sidecar\`, or a newer operator`
    );
}

const imageIn = (values: Values | null): string | null =>
  typeof values?.image === 'string' ? values.image : null;

/**
 * An image that this run brings must not be pulled over: by the tag `latest`, or without one, Kubernetes would pull it
 * each time, as a chart may say too. What `operator-values` say of it stands.
 */
function pullPolicyOf(
  image: string | null,
  ofChart: string | null,
  values: Values | null
): 'IfNotPresent' | null {
  if (image === null || values?.imagePullPolicy !== undefined) return null;
  const policy = ofChart ?? (isLatest(image) ? 'Always' : 'IfNotPresent');
  return policy === 'Always' ? 'IfNotPresent' : null;
}

/** Whose fault it is when no registry gives an image. Of the Action's own, pinned ones that is nobody's in this run. */
export function findImageOwner(plan: Plan, image: string): ImageOwner | null {
  const owner = findOwner(plan, image);
  const retired = describeRetired(image);
  if (retired === null) return owner;
  const input = owner?.input ?? null;
  return {class: input === null ? 'infrastructure' : 'input', input, retired};
}

function findOwner({images, proxy, named, namesOthers}: Plan, image: string): ImageOwner | null {
  const isIn = (list: string[]) => list.some(name => wholeName(name) === wholeName(image));
  const input = Object.entries(named).find(([name]) => isIn([name]))?.[1];
  if (input !== undefined) return {class: 'input', input};
  if (isIn(images.operator)) return {class: 'operator', input: null};
  if (isIn([...images.istiod, ...images.upgrade, proxy])) return {class: 'istio', input: null};
  if (isIn(images.samples)) return {class: 'infrastructure', input: null};
  return namesOthers === null ? null : {class: 'input', input: namesOthers};
}

function namedImages(inputs: Inputs, ofSamples: string[], moved: string[]): Record<string, string> {
  const ofValues = imageIn(inputs['operator-values']);
  return Object.fromEntries([
    ...(inputs['istio-hub'] !== defaultHub ? moved.map(image => [image, 'istio-hub']) : []),
    ...ofSamples.map(image => [image, 'samples']),
    ...(ofValues === null ? [] : [[ofValues, 'operator-values']]),
    ...(['operator-image', 'echo-image', 'client-image'] as const).flatMap(input =>
      inputs[input] === null ? [] : [[inputs[input], input]]
    )
  ]);
}

/** What the pods of the mesh run, unless `istio-values` say otherwise, or the mesh was there. */
function expectedImages(
  {all}: ChosenImages,
  inputs: Inputs,
  existing: Existing | null
): IstioImages {
  if (existing?.mesh) return noImages;
  return namesImages(inputs['istio-values']) ? {...all, istiod: '', proxy: ''} : all;
}

/** Those that Docker takes for images: one that begins with a dash, it would take for a flag. */
function refuseOddImages(images: string[]): void {
  const odd = images.find(name => !isImage(name));
  if (odd === undefined) return;
  throw badInput(
    `operator-chart, operator-values or samples: found the image ${quoted(odd)}; accepted is a reference such as \`quay.io/org/name:tag\``
  );
}

const unique = (images: string[]): string[] => [...new Set(images.filter(name => name !== ''))];

const join = (documents: string[]): string => documents.join('---\n');
