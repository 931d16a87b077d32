/** The samples of Istio's dual-stack documentation, and helpers for manifests. */
import {type Document, isMap, isSeq, stringify} from 'yaml';
import {createInputFault} from '../base/fault.ts';
import {readYamlDocuments, YamlError} from '../base/yaml.ts';
import {type Family, familyNames} from '../results/results.ts';
import type {Workload} from './extra-sample.ts';

/** A documented sample: its namespace and its file. */
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

/** The four documented samples. */
export const documentedSamples: Sample[] = [...serverSamples, clientSample];

/** The namespace without sidecars, which separates faults below Istio from faults of the mesh. */
export const plainNamespace = 'plain';

/** Namespace and app of every workload that the checks use. */
export const documentedWorkloads: Workload[] = [
  ...documentedSamples,
  ...[...serverSamples.slice(0, 1), clientSample].map(sample => ({
    ...sample,
    namespace: plainNamespace
  }))
].map(({namespace, app}) => ({namespace, kind: 'Deployment', name: app, app, pods: 1}));

/** The built-in counterparts of the documented files, by file name. */
export const renderBuiltInSamples = (images: {
  echo: string;
  client: string;
}): Record<string, string> => ({
  'tcp-echo/tcp-echo-dual-stack.yaml': echo('RequireDualStack', ['IPv6', 'IPv4'], images.echo),
  'tcp-echo/tcp-echo-ipv4.yaml': echo('SingleStack', ['IPv4'], images.echo),
  'tcp-echo/tcp-echo-ipv6.yaml': echo('SingleStack', ['IPv6'], images.echo),
  'sleep/sleep.yaml': sleep(images.client)
});

/** A Namespace with the injection label, if any, and more labels. */
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

/** A single-stack Service for the dual-stack pods. Only such a Service proves one family. */
export const renderPathServiceYaml = (family: Family): string =>
  service(`tcp-echo-${family}`, 'SingleStack', [familyNames[family]]);

/** Client and server without sidecars. */
export const renderPlainYaml = (images: {echo: string; client: string}): string =>
  [echo('RequireDualStack', ['IPv4', 'IPv6'], images.echo), sleep(images.client)].join('---\n');

export interface SplitManifests {
  /** Objects without requirements. */
  immediate: string[];
  /** Objects that need the CRDs of Istio or of the Gateway API. */
  customResources: string[];
  /** Objects whose pods need the injection webhook or istiod, and their images. */
  workloads: string[];
  images: string[];
  /** The labels and the numbers of pods of `workloads`. */
  pods: Workload[];
}

/** Splits manifests by what they need, sets their namespace, and renames the images. Throws a Fault for invalid manifests. */
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
    if (!isMap(document.contents)) continue; // an empty document
    if (document.has('metadata') && !isMap(document.get('metadata')))
      throw createManifestFault(namespace, '`metadata` is not a mapping');
    document.setIn(['metadata', 'namespace'], namespace);
    const containers = getField(document.contents, 'spec', 'template', 'spec', 'containers');
    for (const container of isSeq(containers) ? containers.items : []) {
      if (!isMap(container)) throw createManifestFault(namespace, 'a container is not a mapping');
      const named = container.get('image');
      if (typeof named !== 'string')
        throw createManifestFault(namespace, 'a container has no image');
      if (named === 'auto') continue; // the injection webhook sets the image
      const image = renameImage(named);
      container.set('image', image);
      split.images.push(image);
    }
    if (isSeq(containers)) split.pods.push(parseWorkload(document, namespace));
    // istiod creates pods for it, which start no sooner than other pods
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

/** API groups whose CRDs the run or the operator installs. */
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

/** A field of a manifest; undefined if a parent is not a mapping. */
const getField = (contents: unknown, ...path: string[]): unknown =>
  path.reduce((node, key) => (isMap(node) ? node.get(key) : undefined), contents);

const createManifestFault = (namespace: string, what: string) =>
  createInputFault(
    `Invalid \`samples\`: expected Kubernetes manifests, but in a manifest for ${namespace} ${what}`
  );

function readManifests(text: string, namespace: string) {
  try {
    return readYamlDocuments(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw createManifestFault(namespace, `the YAML is not valid (${error.message})`);
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

/** A client like the documented one, with pod annotations. */
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

/** The CPU request of own sidecars. The documented workloads leave 40m of two processors. */
export const smallProxyCpu = {'sidecar.istio.io/proxyCPU': '5m'};

export const smallSidecar = {
  ...smallProxyCpu,
  'sidecar.istio.io/proxyMemory': '64Mi'
};

/** A Deployment. */
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
