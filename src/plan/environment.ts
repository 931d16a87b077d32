import * as path from 'node:path';
import {createInputFault} from '../base/fault.ts';

/** What a user's environment says to our programs: taken over whole, replaced whole, or refused. */

type Environment = NodeJS.ProcessEnv;

/** Never asked through a proxy: the node itself, from inside it. kind adds its nodes, its subnets and `.svc`, and forgets this. */
const localNoProxy = ['localhost', '127.0.0.1', '::1'];

/** Throws a Fault of class `input` for what kind would half use. */
export function refuseKindProvider(env: Environment): void {
  const provider = env.KIND_EXPERIMENTAL_PROVIDER ?? '';
  if (provider !== '' && provider !== 'docker')
    throw createInputFault(
      `KIND_EXPERIMENTAL_PROVIDER: found "${provider}" in the environment; accepted is \`docker\`, or none: images, nodes and checks go by Docker`
    );
}

/**
 * What our programs get instead; undefined: nothing. Helm is our own, with no plugins, context, driver or namespace of the
 * user's; kubectl takes nobody's preferences; the node is not asked through a proxy. `dockerConfig` is the text of Docker's
 * config.json, whose proxies kind and Docker hand to containers too.
 */
export function buildToolEnvironment(
  env: Environment,
  dockerConfig: string,
  directory: string
): Environment {
  const helm = Object.keys(env).filter(name => name.startsWith('HELM_'));
  return {
    ...Object.fromEntries(helm.map(name => [name, undefined])),
    ...Object.fromEntries(
      ['CACHE', 'CONFIG', 'DATA'].map(kind => [`HELM_${kind}_HOME`, path.join(directory, 'helm')])
    ),
    KUBECACHEDIR: path.join(directory, 'kubectl'),
    KUBERC: 'off',
    ...buildNoProxy(env, dockerConfig)
  };
}

/** Sets what has a value, and removes what has none. */
export function applyEnvironment(changes: Environment): void {
  for (const [name, value] of Object.entries(changes))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
}

function buildNoProxy(env: Environment, dockerConfig: string): Environment {
  const readVariable = (name: string) => env[name] || env[name.toLowerCase()] || '';
  const docker = parseDockerProxies(dockerConfig);
  const used = [
    readVariable('HTTP_PROXY'),
    readVariable('HTTPS_PROXY'),
    ...docker.map(({proxy}) => proxy)
  ];
  if (!used.some(Boolean)) return {};
  const given = [readVariable('NO_PROXY'), ...docker.map(({except}) => except)].flatMap(list =>
    list.split(',').map(name => name.trim())
  );
  const all = [...new Set([...given, ...localNoProxy])].filter(Boolean).join(',');
  return {NO_PROXY: all, no_proxy: all};
}

/** The proxies of Docker's config.json; none where there is no such file. */
function parseDockerProxies(text: string): {proxy: string; except: string}[] {
  try {
    const {proxies = {}} = JSON.parse(text) as {proxies?: Record<string, Record<string, string>>};
    return Object.values(proxies).map(({httpProxy = '', httpsProxy = '', noProxy = ''}) => ({
      proxy: httpProxy || httpsProxy,
      except: noProxy
    }));
  } catch {
    return [];
  }
}

/** Where Docker is, whether DOCKER_HOST, DOCKER_CONTEXT or Docker's configuration says so. */
export const dockerEndpointCommand = [
  ...['docker', 'context', 'inspect', '--format', '{{.Endpoints.docker.Host}}']
];

/**
 * Throws a Fault where Docker runs on another machine: kind publishes the API server at that one's 127.0.0.1. `endpoint` is
 * what DOCKER_HOST or the Docker context leads to, such as `unix:///var/run/docker.sock`; a socket is taken for this machine's.
 */
export function refuseRemoteDocker(endpoint: string, apiServerAddress: unknown): void {
  if (!/^(tcp|ssh|https?):\/\//.test(endpoint) || apiServerAddress !== undefined) return;
  const {hostname} = new URL(endpoint);
  if (/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return;
  throw createInputFault(
    `DOCKER_HOST, or the Docker context: found "${endpoint}", a Docker on another machine, where the cluster's API server would listen for that machine alone; accepted is a Docker on this machine, or a \`kind-config\` with \`networking.apiServerAddress\``
  );
}
