// npm run registries [-- --only NAME]: makes real runs in the lab with registries that fail (faulty-registry.mjs), and compares
// the reported failures with the expected ones. Exits with 1 if they differ.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {parseArgs} from 'node:util';
import {faultyRegistry, login} from './faulty-registry.mjs';
import {lab} from './lab.mjs';

const root = path.resolve(import.meta.dirname, '..');
const operator = lab.images[0];
const from = (fault, image) => `${fault}.lab.test/${image}`;

/** All of a run's images from registries that fail for 60 s, which the kubelet's fourth try outlasts, and one that needs a login. */
const healing = [
  ...['--operator-image', from('eof-60', operator)],
  ...['--echo-image', from('reset-60', 'docker.io/istio/tcp-echo-server:1.3')],
  ...['--client-image', from('private', 'docker.io/curlimages/curl:8.16.0')],
  '--istio-values',
  JSON.stringify({
    pilot: {image: from('busy-60', lab.images[1])},
    global: {proxy: {image: from('error-60', lab.images[2])}}
  })
];

const told = {
  final: {class: 'input', layer: 'operator'},
  lasting: {class: 'infrastructure', layer: 'operator'}
};
const always = (name, expect) => ({
  name,
  flags: ['--operator-image', from(`${name}-always`, operator), '--checks', '^operator/'],
  expect
});
const rows = [
  {name: 'healing', flags: healing, expect: {class: '', layer: ''}},
  ...['notfound', 'noname', 'denied', 'unauthorized'].map(name => always(name, told.final)),
  ...['ratelimit', 'busy', 'error', 'unavailable', 'eof', 'reset', 'token', 'hang'].map(name =>
    always(name, told.lasting)
  )
];

const auth = Buffer.from(`${login.user}:${login.password}`).toString('base64');
const secrets = [auth, login.password];

const env = {...process.env, PATH: `${lab.bin}:${process.env.PATH}`};

/** Where this machine is for a node: the IPv4 gateway of kind's network. */
function gateway() {
  const {stdout} = spawnSync('docker', ['network', 'inspect', 'kind'], {env, encoding: 'utf8'});
  const configs = JSON.parse(stdout || '[]')[0]?.IPAM?.Config ?? [];
  return configs.map(({Gateway}) => Gateway).find(address => /^[\d.]+$/.test(address ?? ''));
}

/** What containerd is to know of the hosts of the faults, and a config.json that is logged in; flags and environment of the run. */
function prepare(directory, url) {
  const hosts = path.join(directory, 'hosts');
  for (const [, host] of rows.flatMap(({flags}) => [
    ...flags.join(' ').matchAll(/([\w-]+\.lab\.test)\//g)
  ])) {
    fs.mkdirSync(path.join(hosts, host), {recursive: true});
    fs.writeFileSync(path.join(hosts, host, 'hosts.toml'), `server = "${url}"\n`);
  }
  const auths = {'private.lab.test': {auth}};
  fs.writeFileSync(path.join(directory, 'config.json'), JSON.stringify({auths}));
  const mount = {hostPath: hosts, containerPath: '/etc/containerd/certs.d'};
  return {
    flags: ['--kind-config', JSON.stringify({nodes: [{extraMounts: [mount]}]})],
    env: {...env, DOCKER_CONFIG: directory}
  };
}

/** One run; its log goes beside its results. */
async function run({name, flags}, prepared) {
  const results = path.join(root, 'results', 'registries', name);
  fs.rmSync(results, {recursive: true, force: true});
  fs.mkdirSync(path.dirname(results), {recursive: true});
  const log = fs.openSync(`${results}.log`, 'w');
  const child = spawn(
    process.execPath,
    [
      ...[path.join(root, 'scripts', 'start.mjs'), '--cluster-name', `registries-${process.pid}`],
      ...['--node-image', lab.nodeImage, '--mirror', lab.mirrorInput],
      ...['--kubectl-version', 'path', '--helm-version', 'path', '--kind-version', 'path'],
      ...['--operator-chart', lab.chart, '--results-dir', results, ...prepared.flags, ...flags]
    ],
    {cwd: root, env: prepared.env, stdio: ['ignore', log, log]}
  );
  await once(child, 'close');
  fs.closeSync(log);
  const {failure, seconds} = JSON.parse(
    fs.readFileSync(path.join(results, 'results.json'), 'utf8')
  );
  const written = fs.readdirSync(results, {recursive: true, withFileTypes: true});
  const texts = [`${results}.log`, ...written.flatMap(filesOf)].map(file =>
    fs.readFileSync(file, 'utf8')
  );
  return {
    ...{class: failure?.class ?? '', layer: failure?.layer ?? '', seconds},
    leaks: texts.some(text => secrets.some(secret => text.includes(secret)))
  };
}

const filesOf = entry => (entry.isFile() ? [path.join(entry.parentPath, entry.name)] : []);

const {only} = parseArgs({options: {only: {type: 'string'}}}).values;
const asked = rows.filter(({name}) => only === undefined || name === only);
const address = gateway();
if (asked.length === 0 || address === undefined) {
  console.log(
    address === undefined
      ? 'There is no network `kind` yet: make a cluster first.'
      : `--only takes one of ${rows.map(({name}) => name).join(', ')}.`
  );
  process.exit(2);
}
const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'registries-'));
const registry = await faultyRegistry(lab.registry, address);
try {
  const prepared = prepare(directory, registry.url);
  for (const row of asked) {
    const {leaks, seconds, ...found} = await run(row, prepared);
    const right = !leaks && found.class === row.expect.class && found.layer === row.expect.layer;
    if (!right) process.exitCode = 1;
    const words = found.class === '' ? 'passed' : `${found.class}, ${found.layer || 'no layer'}`;
    console.log(
      `${right ? 'as expected' : 'OTHERWISE  '}  ${row.name.padEnd(13)} ${words}, ${seconds.toFixed(0)} s${leaks ? ', and a login is in what it wrote' : ''}`
    );
  }
} finally {
  registry.close();
  fs.rmSync(directory, {recursive: true, force: true});
}
