/** Collects logs and objects of the cluster into diagnostics/, without secrets. */
import * as path from 'node:path';
import {stringify} from 'yaml';
import {redact, stripControlSequences} from '../base/log.ts';
import {ensureDirectory, replaceFile} from '../base/safe-fs.ts';
import type {Sh} from '../base/sh.ts';
import {readYaml, YamlError} from '../base/yaml.ts';
import type {Plan} from '../plan/plan.ts';

/** File → the command whose output it contains. */
const buildDiagnosticCommands = (
  {operator, istio}: Plan,
  node: string
): Record<string, string[]> => ({
  'events.txt': ['kubectl', 'get', 'events', '-A', '--sort-by=.lastTimestamp'],
  'pods.txt': ['kubectl', 'get', 'pods', '-A', '-o', 'wide'],
  'services.txt': ['kubectl', 'get', 'services,endpointslices', '-A', '-o', 'wide'],
  'describe-pods.txt': ['kubectl', 'describe', 'pods', '-A'],
  'istio.yaml': [
    'kubectl',
    'get',
    'istios.sailoperator.io,istiorevisions.sailoperator.io',
    '-o',
    'yaml'
  ],
  'operator.log': [
    'kubectl',
    'logs',
    '-n',
    operator.namespace,
    `deployment/${operator.name}`,
    '--tail=2000'
  ],
  'istiod.log': ['kubectl', 'logs', '-n', istio.namespace, '-l', 'app=istiod', '--tail=2000'],
  ...Object.fromEntries(
    ['sleep', 'dual-stack', 'ipv4', 'ipv6'].map(namespace => [
      `proxies/${namespace}.log`,
      [
        'kubectl',
        'logs',
        '-n',
        namespace,
        '-l',
        'app in (sleep,tcp-echo)',
        '-c',
        'istio-proxy',
        '--tail=1000'
      ]
    ])
  ),
  'envoy-client.json': [
    ...['kubectl', 'exec', '-n', 'sleep', 'deployment/sleep', '-c', 'istio-proxy', '--'],
    ...['pilot-agent', 'request', 'GET', 'config_dump?include_eds']
  ],
  'node/addresses.txt': ['docker', 'exec', node, 'ip', 'address'],
  'node/routes.txt': ['docker', 'exec', node, 'ip', 'route'],
  'node/routes6.txt': ['docker', 'exec', node, 'ip', '-6', 'route'],
  'node/iptables.txt': ['docker', 'exec', node, 'iptables-save'],
  'node/ip6tables.txt': ['docker', 'exec', node, 'ip6tables-save'],
  'node/kubelet.log': [
    'docker',
    'exec',
    node,
    'journalctl',
    '--unit',
    'kubelet',
    '--no-pager',
    '--lines',
    '500'
  ]
});

/** The additional files in ambient mode; the sidecars' files then contain only an error of kubectl. */
const ambientCommands: Record<string, string[]> = {
  'data-plane.yaml': [
    ...['kubectl', 'get', 'istiocnis.sailoperator.io,ztunnels.sailoperator.io', '-o', 'yaml']
  ],
  'ztunnel.log': ['kubectl', 'logs', '-n', 'ztunnel', '-l', 'app=ztunnel', '--tail=2000'],
  'istio-cni.log': [
    ...['kubectl', 'logs', '-n', 'istio-cni', '-l', 'k8s-app=istio-cni-node', '--tail=2000']
  ]
};

/** Istio's resources without their values, which come from the inputs and may contain credentials. Throws YamlError. */
function removeValues(text: string): string {
  const {items} = readYaml(text) as {items?: unknown};
  if (!Array.isArray(items)) throw new YamlError('it is not a list');
  return stringify({items: items.map(removeItemValues)});
}

function removeItemValues(item: Record<string, Record<string, unknown> | undefined>) {
  const {apiVersion, kind, metadata, spec, status} = item ?? {};
  const {managedFields: _, annotations: __, ...about} = metadata ?? {};
  return {
    apiVersion,
    kind,
    metadata: about,
    spec: {...spec, ...(spec?.values === undefined ? {} : {values: '[removed]'})},
    status
  };
}

/** Files that contain the operator's resources. */
const operatorResourceFiles = ['istio.yaml', 'data-plane.yaml'];

/** The text of a file without the values of Istio's resources. */
function removeSecrets(name: string, text: string): string {
  if (!operatorResourceFiles.includes(name)) return text;
  try {
    return removeValues(text);
  } catch {
    return 'The output of kubectl is invalid YAML. It is omitted, because its values cannot be removed.\n';
  }
}

/** Text that is safe to print in a terminal. */
const sanitizeOutput = (text: string): string =>
  redact(stripControlSequences(text)).replace(controlCharacters, '');

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const controlCharacters = /[\0-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Longest file, in characters. */
const maxFileLength = 400_000;

/** Collects all files in parallel, each for at most `seconds`. A file whose command fails contains the error. */
export async function collectDiagnostics(
  plan: Plan,
  directory: string,
  seconds: number,
  sh: Sh
): Promise<void> {
  const [node] = plan.cluster.nodes;
  const all = Object.entries({
    ...buildDiagnosticCommands(plan, node ?? ''),
    ...(plan.istio.ambient ? ambientCommands : {})
  });
  const ours = node === undefined ? all.filter(([name]) => !name.startsWith('node/')) : all; // the nodes of an existing cluster are no local containers
  await ensureDirectory(directory, 0o700);
  await Promise.all(
    ours.map(async ([name, command]) => {
      const {code, stdout, stderr} = await sh(command, {seconds});
      const text =
        code === 0
          ? removeSecrets(name, stdout)
          : `${operatorResourceFiles.includes(name) ? '' : stdout}\n${command.join(' ')}: exit code ${code}\n${stderr}`;
      const file = path.join(directory, name);
      await ensureDirectory(path.dirname(file), 0o700);
      await replaceFile(file, sanitizeOutput(text).slice(-maxFileLength), 0o600);
    })
  );
}
