import * as path from 'node:path';
import {badInput} from '../base/fault.ts';
import {getAddressFamily, listObjects, type Service} from '../base/kube.ts';
import {writeAnew} from '../base/safe-fs.ts';
import {CommandError, runOrThrow, type Sh} from '../base/sh.ts';
import {readYaml} from '../base/yaml.ts';
import type {Inputs} from '../inputs/inputs.ts';
import type {Target} from '../inputs/readers.ts';
import {
  configMapSelector,
  dualStackServiceYaml,
  execRights,
  type Right,
  readRights,
  rights,
  rightsYaml
} from '../manifests/existing-cluster-manifests.ts';
import type {Found, FoundIstiod, FoundOperator} from '../plan/existing-cluster.ts';
import type {FoundServices} from '../plan/target-services.ts';

/** As the chart labels its Deployment, and OpenShift Service Mesh. */
const operatorSelector = 'control-plane in (sail-operator,servicemesh-operator3)';

/** What we look at of any object. */
interface Object {
  kind: string;
  metadata: {name: string; namespace?: string; labels?: Record<string, string>};
}

/**
 * Writes a kubeconfig of our own, with one context of the user's alone, and has what is run from now on use it.
 * Throws a Fault of class `input` where there is no such context.
 */
export async function takeKubeconfig(
  {kubeconfig, context}: Pick<Inputs, 'kubeconfig' | 'context'>,
  file: string,
  sh: Sh
): Promise<{context: string; name: string}> {
  const from = kubeconfig === null ? [] : ['--kubeconfig', kubeconfig];
  const which = context === null ? [] : [`--context=${context}`];
  const command = [
    'kubectl',
    'config',
    'view',
    '--minify',
    '--flatten',
    '--raw',
    ...from,
    ...which
  ];
  const {code, stdout, stderr} = await sh(command, {seconds: 20});
  if (code !== 0) {
    const name = context === null ? 'kubeconfig' : 'context';
    const found = context ?? kubeconfig ?? 'none, and no context by KUBECONFIG';
    throw badInput(
      `${name}: found ${found}, of which kubectl says: ${stderr.trim()}; accepted is a context that \`kubectl config get-contexts\` lists`
    );
  }
  await writeAnew(file, stdout, 0o600);
  process.env.KUBECONFIG = file;
  const view = readYaml(stdout) as {contexts?: {name: string; context: {cluster: string}}[]};
  const [one] = view.contexts ?? [];
  return {context: one?.name ?? '', name: one?.context.cluster ?? ''};
}

/** Looks at all that decides what can be done in a cluster. Changes nothing. */
export async function survey(
  where: Pick<Found, 'context' | 'name'>,
  directory: string,
  sh: Sh
): Promise<Found> {
  const kubernetes = await serverVersion(sh);
  const denied = await askRights(rights, directory, sh);
  const apis = (await runOrThrow(sh, ['kubectl', 'api-versions'], {seconds: 20})).split('\n');
  const served = (group: string) => apis.some(api => api.startsWith(`${group}/`));
  const unless = denied.some(right => right.verb === 'list'); // refused in a moment, with a list of what is missing
  const list = async <T>(kinds: string, ...scope: string[]): Promise<T[]> =>
    unless ? [] : listObjects<T>(sh, kinds, ...scope);
  const resources = served('sailoperator.io')
    ? await list<Object & {spec?: {version?: string}}>(
        'istios.sailoperator.io,istiocnis.sailoperator.io'
      )
    : [];
  const policies = served('security.istio.io')
    ? await list<Policy>('peerauthentications.security.istio.io', '-A')
    : [];
  const namespaces = await list<Object>('namespaces');
  const webhooks = await list<Object>('mutatingwebhookconfigurations', '-l', 'istio.io/rev');
  const configMaps = unless ? [] : await namesOf('configmaps', configMapSelector, sh);
  const asking = unless ? [] : await namesOf('pods', 'sidecar.istio.io/inject=true', sh);
  return {
    ...where,
    kubernetes,
    ...(await askDualStack(directory, sh)),
    denied,
    openshift: served('config.openshift.io') || served('route.openshift.io'),
    gatewayApi: served('gateway.networking.k8s.io'),
    namespaces: namespaces.map(({metadata: {name, labels = {}}}) => ({name, labels})),
    operators: await operators(await list('deployments', '-A', '-l', operatorSelector), sh),
    istiods: (await list<Deployed>('deployments', '-A', '-l', 'app=istiod')).map(istiodOf),
    istios: resources
      .filter(({kind}) => kind === 'Istio')
      .map(({metadata, spec}) => ({name: metadata.name, version: spec?.version ?? null})),
    cni: resources.some(({kind}) => kind === 'IstioCNI'),
    injectors: webhooks.map(({metadata: {labels = {}}}) => ({
      revision: labels['istio.io/rev'] ?? '',
      tag: labels['istio.io/tag'] ?? null
    })),
    asking,
    configMaps,
    strict: policies
      .filter(({spec}) => spec?.selector === undefined && spec?.mtls?.mode === 'STRICT')
      .map(({metadata}) => metadata.namespace ?? '')
  };
}

async function serverVersion(sh: Sh): Promise<string> {
  const said = await runOrThrow(sh, ['kubectl', 'version', '-o', 'json'], {seconds: 30});
  const {serverVersion} = JSON.parse(said) as {serverVersion: {gitVersion: string}};
  return serverVersion.gitVersion;
}

/** Looks at the Services that may be targets, and at what else may be read of them. Changes nothing. */
export async function surveyTargets(
  targets: Target[],
  directory: string,
  sh: Sh
): Promise<FoundServices> {
  const kubernetes = await serverVersion(sh);
  const namespaces = [...new Set(targets.map(({namespace}) => namespace))];
  const execs = execRights(namespaces);
  const denied = await askRights([...readRights(namespaces), ...execs], directory, sh);
  const isExec = ({resource}: Right) => resource === execs[0]?.resource;
  const found: FoundServices = {
    kubernetes,
    denied: denied.filter(right => !isExec(right)),
    silent: denied.filter(isExec).map(({namespace = ''}) => namespace),
    services: []
  };
  if (found.denied.length === 0)
    for (const namespace of namespaces)
      found.services.push(...(await listObjects<Service>(sh, 'services', '-n', namespace)));
  return found;
}

/** `NAMESPACE/NAME` of all that has a label, without what else there is of it: a large mesh has more than a command may write. */
async function namesOf(kind: string, selector: string, sh: Sh): Promise<string[]> {
  const names = '{range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}';
  const command = ['kubectl', 'get', kind, '-A', '-l', selector, '-o', `jsonpath=${names}`];
  return (await runOrThrow(sh, command, {seconds: 60})).split('\n').filter(name => name !== '');
}

type Policy = Object & {spec?: {selector?: object; mtls?: {mode?: string}}};
type Deployed = Object & {
  spec: {
    template: {
      metadata?: {annotations?: Record<string, string>};
      spec: {containers: {name: string; image: string}[]};
    };
  };
};

/** A SelfSubjectAccessReview for each: those that are denied. It is a question, and makes nothing. */
async function askRights(rights: Right[], directory: string, sh: Sh): Promise<Right[]> {
  const file = path.join(directory, 'rights.yaml');
  await writeAnew(file, rightsYaml(rights), 0o600);
  const command = [
    ...['kubectl', 'create', '--validate=false', '-f', file], // to validate it lists CRDs, which not everybody may
    ...['-o', 'jsonpath={.status.allowed}{"\\n"}']
  ];
  const said = (await runOrThrow(sh, command, {seconds: 60})).trim().split('\n');
  return rights.filter((_, at) => said[at] !== 'true');
}

/** A dry run in the API server, which gives the Service addresses and keeps nothing. */
async function askDualStack(
  directory: string,
  sh: Sh
): Promise<Pick<Found, 'families' | 'refused'>> {
  const file = path.join(directory, 'dual-stack-service.yaml');
  await writeAnew(file, dualStackServiceYaml(), 0o600);
  const command = ['kubectl', 'create', '--dry-run=server', '-f', file, '-o', 'json'];
  const output = await sh(command, {seconds: 30});
  if (output.code !== 0) return {families: [], refused: output.stderr.trim()};
  const {spec} = JSON.parse(output.stdout) as {spec: {clusterIPs?: string[]}};
  return {families: (spec.clusterIPs ?? []).map(getAddressFamily), refused: ''};
}

async function operators(found: Deployed[], sh: Sh): Promise<FoundOperator[]> {
  if (found.length === 0) return [];
  const command = ['kubectl', 'get', 'crds', 'istios.sailoperator.io', '-o', 'yaml'];
  const output = await sh(command, {seconds: 30});
  if (output.code !== 0 && !/NotFound/.test(output.stderr)) throw new CommandError(command, output);
  return found.map(({metadata, spec: {template}}) => ({
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    image:
      (
        template.spec.containers.find(({name}) => name === metadata.name) ??
        template.spec.containers[0]
      )?.image ?? '',
    annotations: template.metadata?.annotations ?? {},
    crd: output.stdout
  }));
}

const istiodOf = ({metadata, spec}: Deployed): FoundIstiod => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
  revision: metadata.labels?.['istio.io/rev'] ?? 'default',
  image: spec.template.spec.containers[0]?.image ?? ''
});
