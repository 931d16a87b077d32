import {type Document, isMap, isSeq, stringify} from 'yaml';
import {createInputFault} from '../base/fault.ts';
import {readYamlDocuments, YamlError} from '../base/yaml.ts';
import {type Family, familyNames} from '../results/results.ts';
import type {Workload} from './extra-sample.ts';

/** One sample of the documentation: where it goes, and the file that holds it. */
export interface Sample {
  namespace: string;
  file: string;
  app: string;
}

export const clientSample: Sample = {namespace: 'sleep', file: 'sleep/sleep.yaml', app: 'sleep'};

export const serverSamples: Sample[] = ['dual-stack', 'ipv4', 'ipv6'].map(namespace => ({
  namespace,
  file: `tcp-echo/tcp-echo-${namespace}.yaml`,
  app: 'tcp-echo'
}));

/** The documentation's four samples. */
export const documentedSamples: Sample[] = [...serverSamples, clientSample];

/** Where nothing has a sidecar: it tells a fault below Istio from one of the mesh. */
export const plainNamespace = 'plain';

/** Namespace and app of every workload that the checks use. */
export const documentedWorkloads: Workload[] = [
  ...documentedSamples,
  ...[...serverSamples.slice(0, 1), clientSample].map(sample => ({
    ...sample,
    namespace: plainNamespace
  }))
].map(({namespace, app}) => ({namespace, kind: 'Deployment', name: app, app, pods: 1}));

/** Our own counterparts of the documentation's files, by their names there. */
export const renderBuiltInSamples = (images: {
  echo: string;
  client: string;
}): Record<string, string> => ({
  'tcp-echo/tcp-echo-dual-stack.yaml': echo('RequireDualStack', ['IPv6', 'IPv4'], images.echo),
  'tcp-echo/tcp-echo-ipv4.yaml': echo('SingleStack', ['IPv4'], images.echo),
  'tcp-echo/tcp-echo-ipv6.yaml': echo('SingleStack', ['IPv6'], images.echo),
  'sleep/sleep.yaml': sleep(images.client)
});

/** A namespace, the label that asks for sidecars where there is one, and more labels. */
export const renderNamespaceYaml = (
  name: string,
  label: string | null,
  more: Record<string, string> = {}
): string => {
  const labels = {...(label === null ? {} : Object.fromEntries([label.split('=')])), ...more};
  return stringify({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {name, ...(Object.keys(labels).length > 0 && {labels})}
  });
};

/** The dual-stack pods once more, by one family alone: only so is each family proven. */
export const renderPathServiceYaml = (family: Family): string =>
  service(`tcp-echo-${family}`, 'SingleStack', [familyNames[family]]);

/** Client and server without sidecars. */
export const renderPlainYaml = (images: {echo: string; client: string}): string =>
  [echo('RequireDualStack', ['IPv4', 'IPv6'], images.echo), sleep(images.client)].join('---\n');

export interface SplitManifests {
  /** May be created at once. */
  immediate: string[];
  /** Need the CRDs of Istio or of the Gateway API. */
  customResources: string[];
  /** Their pods need the injection webhook or istiod itself, and their images. */
  workloads: string[];
  images: string[];
  /** Those of `workloads`, with how many pods of which label there are to be. */
  pods: Workload[];
}

/** Splits manifests, all put into one namespace; `image` replaces those of their containers. */
export function splitManifests(
  text: string,
  namespace: string,
  renameImage: (image: string) => string = image => image
): SplitManifests {
  const split: SplitManifests = {
    immediate: [],
    customResources: [],
    workloads: [],
    images: [],
    pods: []
  };
  for (const document of readManifests(text, namespace)) {
    if (!isMap(document.contents)) continue; // nothing between two separators
    if (document.has('metadata') && !isMap(document.get('metadata')))
      throw createManifestFault(namespace, 'has a `metadata` that is no mapping');
    document.setIn(['metadata', 'namespace'], namespace);
    const containers = getField(document.contents, 'spec', 'template', 'spec', 'containers');
    for (const container of isSeq(containers) ? containers.items : []) {
      if (!isMap(container))
        throw createManifestFault(namespace, 'has a container that is no mapping');
      const named = container.get('image');
      if (typeof named !== 'string')
        throw createManifestFault(namespace, 'has a container without an image');
      if (named === 'auto') continue; // the injection webhook fills that in
      const image = renameImage(named);
      container.set('image', image);
      split.images.push(image);
    }
    if (isSeq(containers)) split.pods.push(parseWorkload(document, namespace));
    // istiod makes pods for it, which are to come no sooner than others do
    const isGateway = /^gateway\.networking.*\nkind: Gateway$/.test(
      `${document.get('apiVersion')}\nkind: ${document.get('kind')}`
    );
    const into =
      isSeq(containers) || isGateway
        ? split.workloads
        : customResourceGroups.test(String(document.get('apiVersion')))
          ? split.customResources
          : split.immediate;
    into.push(document.toString({directives: false}));
  }
  return split;
}

/** API groups whose CRDs come with the operator, or before the run. */
const customResourceGroups = /(^|\.)istio\.io\/|^gateway\.networking\.k8s\.io\//;

function parseWorkload({contents}: Document, namespace: string): Workload {
  const text = (...path: string[]) => String(getField(contents, ...path) ?? '');
  return {
    namespace,
    kind: text('kind'),
    name: text('metadata', 'name'),
    app: text('spec', 'template', 'metadata', 'labels', 'app'),
    pods: Number(getField(contents, 'spec', 'replicas') ?? 1)
  };
}

/** A field of a manifest; undefined where what is above it is no mapping. */
const getField = (contents: unknown, ...path: string[]): unknown =>
  path.reduce((node, key) => (isMap(node) ? node.get(key) : undefined), contents);

const createManifestFault = (namespace: string, what: string) =>
  createInputFault(
    `samples: found a manifest for ${namespace} that ${what}; accepted are Kubernetes manifests`
  );

function readManifests(text: string, namespace: string) {
  try {
    return readYamlDocuments(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw createManifestFault(namespace, `is no YAML (${error.message})`);
  }
}

const service = (name: string, policy: string, families: string[]): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name, labels: {app: 'tcp-echo', service: name}},
    spec: {
      ipFamilyPolicy: policy,
      ipFamilies: families,
      ports: [
        {name: 'tcp', port: 9000},
        {name: 'tcp-other', port: 9001}
      ],
      selector: {app: 'tcp-echo'}
    }
  });

const echo = (policy: string, families: string[], image: string): string =>
  [
    service('tcp-echo', policy, families),
    renderDeployment(
      'tcp-echo',
      {version: 'v1'},
      {
        containers: [
          {
            name: 'tcp-echo',
            image,
            imagePullPolicy: 'IfNotPresent',
            args: ['9000,9001,9002', 'hello'],
            ports: [{containerPort: 9000}, {containerPort: 9001}]
          }
        ]
      }
    )
  ].join('---\n');

const sleep = (image: string): string => renderClientYaml('sleep', image);

/** A client such as the documentation's, with annotations of its pod. */
export const renderClientYaml = (
  app: string,
  image: string,
  annotations: Record<string, string> = {}
): string =>
  renderDeployment(
    app,
    {},
    {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'sleep',
          image,
          imagePullPolicy: 'IfNotPresent',
          command: ['/bin/sleep', 'infinity']
        }
      ]
    },
    annotations
  );

/** What a sidecar of our own asks for: Kubernetes, istiod, IstioCNI and the documentation's sidecars leave 40m of two processors. */
export const smallProxyCpu = {'sidecar.istio.io/proxyCPU': '5m'};

export const smallSidecar = {
  ...smallProxyCpu,
  'sidecar.istio.io/proxyMemory': '64Mi'
};

/** A Deployment, of one pod unless it says otherwise. */
export const renderDeployment = (
  app: string,
  labels: Record<string, string>,
  pod: object,
  annotations: Record<string, string> = {},
  replicas = 1
): string =>
  stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {name: app},
    spec: {
      replicas,
      selector: {matchLabels: {app, ...labels}},
      template: {
        metadata: {
          labels: {app, ...labels},
          ...(Object.keys(annotations).length > 0 && {annotations})
        },
        spec: pod
      }
    }
  });
