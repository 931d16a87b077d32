/** Decides which environment variables of the user reach the programs that the Action runs. */
import * as path from 'node:path';
import {createInputFault} from '../base/fault.ts';

type Environment = NodeJS.ProcessEnv;

/** Hosts that never go through a proxy: a node, from inside it. kind adds its nodes, its subnets and `.svc`, but not these. */
const localNoProxy = ['localhost', '127.0.0.1', '::1'];

/** Throws a Fault of class `input` for another provider: kind would use it, but the rest of the Action uses Docker. */
export function refuseKindProvider(env: Environment): void {
  const provider = env.KIND_EXPERIMENTAL_PROVIDER ?? '';
  if (provider !== '' && provider !== 'docker')
    throw createInputFault(
      `Invalid \`KIND_EXPERIMENTAL_PROVIDER\` "${provider}" in the environment: expected \`docker\` or no value, because images, nodes and checks need Docker`
    );
}

/**
 * The changed variables; undefined removes one. Helm gets no plugins, context, driver or namespace of the user.
 * kubectl gets no preferences, and requests to the node bypass the proxy. `dockerConfig` is the text of Docker's
 * config.json: kind and Docker pass its proxies to containers.
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

/** Sets the variables that have a value, and removes the others. */
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

/** The proxies in Docker's config.json; empty if the file is missing or invalid. */
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

/** Prints Docker's endpoint, from DOCKER_HOST, DOCKER_CONTEXT or Docker's configuration. */
export const dockerEndpointCommand = [
  ...['docker', 'context', 'inspect', '--format', '{{.Endpoints.docker.Host}}']
];

/**
 * Throws a Fault if Docker runs on another machine: kind publishes the API server at 127.0.0.1 of that machine.
 * `endpoint` is Docker's address, such as `unix:///var/run/docker.sock`. A socket counts as local.
 */
export function refuseRemoteDocker(endpoint: string, apiServerAddress: unknown): void {
  if (!/^(tcp|ssh|https?):\/\//.test(endpoint) || apiServerAddress !== undefined) return;
  const {hostname} = new URL(endpoint);
  if (/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return;
  throw createInputFault(
    `Invalid \`DOCKER_HOST\` or Docker context "${endpoint}": expected Docker on this machine, or a \`kind-config\` with \`networking.apiServerAddress\`. On another machine, the API server listens on the loopback address of that machine`
  );
}
