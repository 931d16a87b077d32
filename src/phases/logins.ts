/** Copies Docker's registry logins to the nodes, so that they can pull private images. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {parseImage} from '../base/image.ts';
import {parseJsonObject} from '../base/json.ts';
import {addHiddenTexts, logLine} from '../base/log.ts';
import {replaceFile} from '../base/safe-fs.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {runOrThrow, type Sh} from '../base/sh.ts';
import type {Plan} from '../plan/plan.ts';

/** Registry → its login, `USER:PASSWORD` in base64. */
export type Logins = Map<string, string>;

/** The login fields of Docker's config.json (docs.docker.com/reference/cli/docker/login). */
interface DockerConfig {
  auths?: Record<string, {auth?: string; identitytoken?: string} | null>;
  credHelpers?: Record<string, string>;
  credsStore?: string;
}

/** The text of Docker's config.json; empty if there is none. */
export const readDockerConfig = ({DOCKER_CONFIG, HOME = ''}: NodeJS.ProcessEnv): Promise<string> =>
  fs
    .readFile(path.join(DOCKER_CONFIG || path.join(HOME, '.docker'), 'config.json'), 'utf8')
    .catch(() => '');

/** `https://index.docker.io/v1/` → `docker.io`. */
const parseRegistry = (key: string): string => {
  const host = key.replace(/^https?:\/\//, '').replace(/\/.*$/s, '');
  return /^(index|registry-1)\.docker\.io$/.test(host) ? 'docker.io' : host;
};

/** The key of a registry in the files of Docker and the kubelet. */
const getRegistryKey = (registry: string): string =>
  registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;

/** The registries that the nodes may pull from: those of the planned images, and those that the YAML inputs name. */
function listRegistries({images, files}: Plan, config: DockerConfig): string[] {
  const texts = Object.values(files).join('\n');
  const loggedIn = [config.auths, config.credHelpers].flatMap(of => Object.keys(of ?? {}));
  return [
    ...new Set([
      ...Object.values(images).flatMap(names => names.map(name => parseImage(name).registry)),
      ...loggedIn.map(parseRegistry).filter(registry => texts.includes(registry))
    ])
  ];
}

/**
 * Docker's logins for the registries that the nodes may pull from, and for no other. Skips and logs an identity token,
 * which the kubelet's file does not support. Hides all logins from logs and results.
 */
export async function findLogins(
  plan: Plan,
  text: string,
  work: PhaseContext,
  sh: Sh
): Promise<Logins> {
  const config: DockerConfig = parseJsonObject(text);
  const report = (what: string) => logLine(work.clock(), 'logins', what);
  const logins: Logins = new Map();
  for (const registry of listRegistries(plan, config)) {
    const auth = await findLogin(registry, config, report, sh);
    if (auth === null) continue;
    const [, password = ''] = /^[^:]*:(.*)$/s.exec(Buffer.from(auth, 'base64').toString()) ?? [];
    addHiddenTexts([auth, password]);
    logins.set(registry, auth);
  }
  return logins;
}

type Report = (what: string) => void;

async function findLogin(
  registry: string,
  {auths, credHelpers, credsStore}: DockerConfig,
  report: Report,
  sh: Sh
): Promise<string | null> {
  const helper = findByRegistry(credHelpers, registry) ?? credsStore;
  if (helper) return readLoginFromHelper(helper, registry, report, sh);
  const {auth, identitytoken} = findByRegistry(auths, registry) ?? {};
  if (identitytoken) return skipTokenLogin(registry, report);
  return auth || null;
}

const findByRegistry = <Value>(
  of: Record<string, Value> | null | undefined,
  registry: string
): Value | undefined =>
  Object.entries(of ?? {}).find(([key]) => parseRegistry(key) === registry)?.[1];

function skipTokenLogin(registry: string, report: Report): null {
  report(
    `the login for ${registry} is an identity token, which a node cannot use: it pulls from there without a login`
  );
  return null;
}

/** The login from a credential helper, which reads the registry from its standard input (github.com/docker/docker-credential-helpers). */
async function readLoginFromHelper(
  helper: string,
  registry: string,
  report: Report,
  sh: Sh
): Promise<string | null> {
  if (!/^[\w.-]{1,100}$/.test(helper)) return null;
  const {code, stdout} = await sh(['printf', '%s', getRegistryKey(registry)], {
    pipeTo: [`docker-credential-${helper}`, 'get'],
    seconds: 20
  });
  if (code !== 0) return null; // usually: no login for this registry
  const {Username = '', Secret = ''} = parseJsonObject<{Username: string; Secret: string}>(stdout);
  if (Username === '<token>') return skipTokenLogin(registry, report);
  return Username === '' ? null : Buffer.from(`${Username}:${Secret}`).toString('base64');
}

/** Where a kubelet reads logins for all pods of its node (kubernetes.io/docs/concepts/containers/images). */
const kubeletDirectory = '/var/lib/kubelet';
const kubeletLogins = `${kubeletDirectory}/config.json`;

/**
 * Copies the logins to the nodes by standard input: no argument or environment variable contains one. Do this before the
 * kubelet pulls: it caches a missing login for 5 minutes.
 */
export async function copyLoginsToNodes(
  {cluster, directory}: Plan,
  logins: Logins,
  sh: Sh
): Promise<void> {
  if (logins.size === 0) return;
  const auths = Object.fromEntries(
    [...logins].map(([registry, auth]) => [getRegistryKey(registry), {auth}])
  );
  const file = path.join(directory, 'logins.json');
  await replaceFile(file, JSON.stringify({auths}), 0o600);
  try {
    for (const node of cluster.nodes)
      await runOrThrow(sh, ['cat', file], {pipeTo: buildReceiveLoginsCommand(node), seconds: 60});
  } finally {
    await fs.rm(file, {force: true});
  }
}

// on a busy machine the kubelet may not have created its directory yet; the mode is the kubelet's
const buildReceiveLoginsCommand = (node: string): string[] => [
  ...['docker', 'exec', '--interactive', node, 'bash', '-c'],
  `mkdir -p -m 750 ${kubeletDirectory} && umask 077 && cat >${kubeletLogins}.new && mv ${kubeletLogins}.new ${kubeletLogins}`,
  'logins'
];

/** A crictl pull with the kubelet's login, which crictl does not read by itself. */
export const buildPullWithLoginCommand = (image: string): string[] => [
  ...['bash', '-c'],
  `CRICTL_AUTH=$(jq --raw-output --arg key "$2" '.auths[$key].auth' ${kubeletLogins}) exec crictl pull "$1"`,
  ...['pull', image, getRegistryKey(parseImage(image).registry)]
];
