/** Reads from an existing cluster all that decides what the run can do there. Changes nothing. */
import * as path from 'node:path';
import {createInputFault} from '../base/fault.ts';
import {getAddressFamily, listObjects, type Service} from '../base/kube.ts';
import {replaceFile} from '../base/safe-fs.ts';
import {CommandError, runOrThrow, type Sh} from '../base/sh.ts';
import {readYaml} from '../base/yaml.ts';
import type {Inputs} from '../inputs/inputs.ts';
import type {Target} from '../inputs/readers.ts';
import {
  configMapSelector,
  getExecPermissions,
  getReadPermissions,
  type Permission,
  renderAccessReviewsYaml,
  renderDualStackServiceYaml,
  requiredPermissions
} from '../manifests/existing-cluster-manifests.ts';
import type {ClusterSurvey, FoundIstiod, FoundOperator} from '../plan/existing-cluster.ts';
import type {ServiceSurvey} from '../plan/target-services.ts';

/** The labels of the operator's Deployment, from the chart and from OpenShift Service Mesh. */
const operatorSelector = 'control-plane in (sail-operator,servicemesh-operator3)';

/** The fields that the survey reads of any object. */
interface SurveyedObject {
  kind: string;
  metadata: {name: string; namespace?: string; labels?: Record<string, string>};
}

/**
 * Writes a private kubeconfig with only the chosen context, and sets KUBECONFIG to it.
 * Throws a Fault of class `input` if the context does not exist.
 */
export async function writeOwnKubeconfig(
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
    const found = context ?? kubeconfig;
    throw createInputFault(
      `Invalid \`${name}\`${found === null ? ': it is empty, and KUBECONFIG has no current context' : ` "${found}"`}: kubectl reports: ${stderr.trim()}; expected a context that \`kubectl config get-contexts\` lists`
    );
  }
  await replaceFile(file, stdout, 0o600);
  process.env.KUBECONFIG = file;
  const view = readYaml(stdout) as {contexts?: {name: string; context: {cluster: string}}[]};
  const [one] = view.contexts ?? [];
  return {context: one?.name ?? '', name: one?.context.cluster ?? ''};
}

/** Reads all facts about a cluster that the plan depends on. Changes nothing. Throws CommandError. */
export async function surveyCluster(
  where: Pick<ClusterSurvey, 'context' | 'name'>,
  directory: string,
  sh: Sh
): Promise<ClusterSurvey> {
  const kubernetes = await getServerVersion(sh);
  const denied = await findDeniedRights(requiredPermissions, directory, sh);
  const apis = (await runOrThrow(sh, ['kubectl', 'api-versions'], {seconds: 20})).split('\n');
  const isServed = (group: string) => apis.some(api => api.startsWith(`${group}/`));
  const isListDenied = denied.some(right => right.verb === 'list'); // the plan then fails with a list of the missing rights
  const list = async <T>(kinds: string, ...scope: string[]): Promise<T[]> =>
    isListDenied ? [] : listObjects<T>(sh, kinds, ...scope);
  const resources = isServed('sailoperator.io')
    ? await list<SurveyedObject & {spec?: {version?: string}}>(
        'istios.sailoperator.io,istiocnis.sailoperator.io'
      )
    : [];
  const policies = isServed('security.istio.io')
    ? await list<Policy>('peerauthentications.security.istio.io', '-A')
    : [];
  const namespaces = await list<SurveyedObject>('namespaces');
  const webhooks = await list<SurveyedObject>(
    'mutatingwebhookconfigurations',
    '-l',
    'istio.io/rev'
  );
  const configMaps = isListDenied ? [] : await listNames('configmaps', configMapSelector, sh);
  const asking = isListDenied ? [] : await listNames('pods', 'sidecar.istio.io/inject=true', sh);
  return {
    ...where,
    kubernetes,
    ...(await checkDualStackSupport(directory, sh)),
    denied,
    openshift: isServed('config.openshift.io') || isServed('route.openshift.io'),
    gatewayApi: isServed('gateway.networking.k8s.io'),
    namespaces: namespaces.map(({metadata: {name, labels = {}}}) => ({name, labels})),
    operators: await describeOperators(await list('deployments', '-A', '-l', operatorSelector), sh),
    istiods: (await list<Deployed>('deployments', '-A', '-l', 'app=istiod')).map(describeIstiod),
    istios: resources
      .filter(({kind}) => kind === 'Istio')
      .map(({metadata, spec}) => ({name: metadata.name, version: spec?.version ?? null})),
    cni: resources.some(({kind}) => kind === 'IstioCNI'),
    injectors: webhooks.map(({metadata: {labels = {}}}) => ({
      revision: labels['istio.io/rev'] ?? '',
      tag: labels['istio.io/tag'] ?? null
    })),
    podsRequestingSidecar: asking,
    configMaps,
    strict: policies
      .filter(({spec}) => spec?.selector === undefined && spec?.mtls?.mode === 'STRICT')
      .map(({metadata}) => metadata.namespace ?? '')
  };
}

async function getServerVersion(sh: Sh): Promise<string> {
  const said = await runOrThrow(sh, ['kubectl', 'version', '-o', 'json'], {seconds: 30});
  const {serverVersion} = JSON.parse(said) as {serverVersion: {gitVersion: string}};
  return serverVersion.gitVersion;
}

/** Reads the Services that may be targets, and the rights in their namespaces. Changes nothing. Throws CommandError. */
export async function surveyTargets(
  targets: Target[],
  directory: string,
  sh: Sh
): Promise<ServiceSurvey> {
  const kubernetes = await getServerVersion(sh);
  const namespaces = [...new Set(targets.map(({namespace}) => namespace))];
  const execs = getExecPermissions(namespaces);
  const denied = await findDeniedRights(
    [...getReadPermissions(namespaces), ...execs],
    directory,
    sh
  );
  const isExec = ({resource}: Permission) => resource === execs[0]?.resource;
  const found: ServiceSurvey = {
    kubernetes,
    denied: denied.filter(right => !isExec(right)),
    noExecNamespaces: denied.filter(isExec).map(({namespace = ''}) => namespace),
    services: []
  };
  if (found.denied.length === 0)
    for (const namespace of namespaces)
      found.services.push(...(await listObjects<Service>(sh, 'services', '-n', namespace)));
  return found;
}

/** `NAMESPACE/NAME` of all objects with a label. Whole objects of a large mesh would exceed the output limit. */
async function listNames(kind: string, selector: string, sh: Sh): Promise<string[]> {
  const names = '{range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}';
  const command = ['kubectl', 'get', kind, '-A', '-l', selector, '-o', `jsonpath=${names}`];
  return (await runOrThrow(sh, command, {seconds: 60})).split('\n').filter(name => name !== '');
}

type Policy = SurveyedObject & {spec?: {selector?: object; mtls?: {mode?: string}}};
type Deployed = SurveyedObject & {
  spec: {
    template: {
      metadata?: {annotations?: Record<string, string>};
      spec: {containers: {name: string; image: string}[]};
    };
  };
};

/** The denied rights, by a SelfSubjectAccessReview each, which creates no object. */
async function findDeniedRights(
  rights: Permission[],
  directory: string,
  sh: Sh
): Promise<Permission[]> {
  const file = path.join(directory, 'rights.yaml');
  await replaceFile(file, renderAccessReviewsYaml(rights), 0o600);
  const command = [
    ...['kubectl', 'create', '--validate=false', '-f', file], // validation lists CRDs, which needs a right of its own
    ...['-o', 'jsonpath={.status.allowed}{"\\n"}']
  ];
  const answers = (await runOrThrow(sh, command, {seconds: 60})).trim().split('\n');
  return rights.filter((_, at) => answers[at] !== 'true');
}

/** The address families of a Service in a server-side dry run, which stores nothing; none if the API server refuses it. */
async function checkDualStackSupport(
  directory: string,
  sh: Sh
): Promise<Pick<ClusterSurvey, 'families' | 'refused'>> {
  const file = path.join(directory, 'dual-stack-service.yaml');
  await replaceFile(file, renderDualStackServiceYaml(), 0o600);
  const command = ['kubectl', 'create', '--dry-run=server', '-f', file, '-o', 'json'];
  const output = await sh(command, {seconds: 30});
  if (output.code !== 0) return {families: [], refused: output.stderr.trim()};
  const {spec} = JSON.parse(output.stdout) as {spec: {clusterIPs?: string[]}};
  return {families: (spec.clusterIPs ?? []).map(getAddressFamily), refused: ''};
}

async function describeOperators(found: Deployed[], sh: Sh): Promise<FoundOperator[]> {
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

const describeIstiod = ({metadata, spec}: Deployed): FoundIstiod => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
  revision: metadata.labels?.['istio.io/rev'] ?? 'default',
  image: spec.template.spec.containers[0]?.image ?? ''
});
