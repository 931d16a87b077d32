import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {redact} from '../base/log.ts';
import type {Sh} from '../base/sh.ts';
import type {Plan} from '../plan/plan.ts';

/** File → the command whose output it holds. */
const commands = (node: string): Record<string, string[]> => ({
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
    'sail-operator',
    'deployment/sail-operator',
    '--tail=2000'
  ],
  'istiod.log': ['kubectl', 'logs', '-n', 'istio-system', '-l', 'app=istiod', '--tail=2000'],
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

/** Each file, in characters. */
const cap = 400_000;

/** Collects all files side by side, `seconds` at most each. What cannot be had is said in its file. */
export async function collectDiagnostics(
  plan: Plan,
  directory: string,
  seconds: number,
  sh: Sh
): Promise<void> {
  const [node = ''] = plan.cluster.nodes;
  await Promise.all(
    Object.entries(commands(node)).map(async ([name, command]) => {
      const {code, stdout, stderr} = await sh(command, {seconds});
      const text =
        code === 0 ? stdout : `${stdout}\n${command.join(' ')}: exit code ${code}\n${stderr}`;
      const file = path.join(directory, name);
      await fs.mkdir(path.dirname(file), {recursive: true, mode: 0o700});
      await fs.writeFile(file, redact(text).slice(-cap), {mode: 0o600});
    })
  );
}
