import {type ChildProcess, spawn} from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {gzipSync} from 'node:zlib';
import {afterAll, beforeAll, describe, expect, jest, test} from '@jest/globals';
import type {CheckResult} from '../src/results/results.ts';

const root = path.join(import.meta.dirname, '..');
const recordingsHere = path.join('rehearsal', 'recordings');
const player = path.join(root, 'rehearsal', 'play.mjs');
const {standIns, recordings, programs} = await import(player);
const recorder = await import(path.join(root, 'scripts', 'record.mjs'));

jest.setTimeout(120_000);

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}
interface Settings {
  cwd?: string;
  env?: Record<string, string>;
  input?: string | Buffer;
  started?: (child: ChildProcess) => void;
}

/** Runs a program to its end. Only `env` and what a program needs anywhere is in its environment. */
function run(program: string, args: string[], {cwd, env, input = '', started}: Settings = {}) {
  const child = spawn(program, args, {
    cwd,
    env: {PATH: process.env.PATH ?? '', HOME: os.homedir(), TMPDIR: temp, ...env}
  });
  const out: Buffer[] = [];
  const error: Buffer[] = [];
  child.stdout.on('data', chunk => out.push(chunk));
  child.stderr.on('data', chunk => error.push(chunk));
  child.stdin.on('error', () => {}).end(input);
  started?.(child);
  return new Promise<Ended>((done, fail) => {
    child
      .on('error', fail)
      .on('close', code =>
        done({code, stdout: `${Buffer.concat(out)}`, stderr: `${Buffer.concat(error)}`})
      );
  });
}

let temp: string;
beforeAll(() => {
  temp = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'rehearsal-test-'));
});
afterAll(() => fs.rmSync(temp, {recursive: true, force: true}));

const fresh = () => fs.mkdtempSync(path.join(temp, 'x-'));

function write(file: string, text: string | Buffer, mode = 0o644): string {
  fs.mkdirSync(path.dirname(file), {recursive: true});
  fs.writeFileSync(file, text, {mode});
  return file;
}

describe('the bundle, rehearsed', () => {
  test('there is a recording', () => expect(recordings()).not.toEqual([]));

  test.concurrent.each<string>(recordings())(
    '%s ends as it did when it was recorded',
    async name => {
      const about = JSON.parse(
        fs.readFileSync(path.join(root, recordingsHere, name, 'recording.json'), 'utf8')
      );
      const results = path.join(fresh(), 'results');
      const args = [
        path.join('scripts', 'start.mjs'),
        '--rehearse',
        '--recording',
        name,
        '--results-dir',
        results
      ];
      const {code, stdout} = await run(process.execPath, args, {cwd: root});
      expect(stdout).not.toContain('no recorded answer');
      const {result, failure, rehearsal, checks} = JSON.parse(
        fs.readFileSync(path.join(results, 'results.json'), 'utf8')
      );
      if (result === 'passed') expect(withoutUpstream(checks)).toEqual([]);
      expect({
        code,
        result,
        'failure-class': failure?.class ?? '',
        'failed-layer': failure?.layer ?? ''
      }).toEqual(about.expect);
      expect(rehearsal).toEqual({recording: name});
    }
  );
});

/** What the mesh answered without that the address which the connection took was seen. */
function withoutUpstream(checks: CheckResult[]): string[] {
  const carried = checks.filter(({layer}) => ['echo', 'path', 'failover'].includes(layer));
  expect(carried).not.toEqual([]);
  return carried
    .filter(({verdict, upstream}) => verdict === 'passed' && upstream === null)
    .map(({id}) => id);
}

/** Programs of a test's own, to be recorded: shell scripts. */
function fakePrograms(scripts: Record<string, string>): string {
  const directory = fresh();
  for (const [name, script] of Object.entries(scripts))
    write(path.join(directory, name), `#!/bin/bash\n${script}\n`, 0o755);
  return directory;
}

interface Step {
  args: string[];
  input?: string | Buffer;
  /** Ends it by SIGTERM once it has printed something. */
  kill?: boolean;
}

const killOnOutput = (child: ChildProcess) => {
  child.stdout?.once('data', () => child.kill('SIGTERM'));
};

/** Records steps one after the other, and gives the recording's calls. */
async function record(
  scripts: Record<string, string>,
  steps: Step[],
  env: Record<string, string> = {}
) {
  const stand = standIns('record', Object.keys(scripts));
  const PATH = [stand.bin, fakePrograms(scripts), process.env.PATH].join(':');
  for (const {
    args: [program = '', ...args],
    input,
    kill
  } of steps)
    await run(program, args, {
      input,
      env: {RUNNER_TEMP: temp, ...env, PATH},
      ...(kill && {started: killOnOutput})
    });
  const raw = fs.readFileSync(path.join(stand.directory, 'raw.jsonl'), 'utf8');
  stand.remove();
  return recorder.joined(
    raw
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
  );
}

/** A copy of the player with one recording, `taken`, and a function that asks it. */
function play(calls: object[]) {
  const here = project();
  store(here, 'taken', calls);
  return import(path.join(here, 'rehearsal', 'play.mjs')).then(({rehearse}) => {
    const rehearsal = rehearse('taken');
    const ask = ([program = '', ...args]: string[], settings: Settings = {}) =>
      run(path.join(rehearsal.bin, program), args, {
        ...settings,
        env: {RUNNER_TEMP: temp, ...rehearsal.env, ...settings.env}
      });
    return {...rehearsal, ask};
  });
}

function store(here: string, name: string, calls: object[], inputs: Record<string, string> = {}) {
  const directory = path.join(here, recordingsHere, name);
  write(path.join(directory, 'recording.json'), JSON.stringify({name, inputs}));
  write(
    path.join(directory, 'calls.jsonl.gz'),
    gzipSync(calls.map(call => `${JSON.stringify(call)}\n`).join(''))
  );
}

describe('recorder and player', () => {
  const counter = `file=$RUNNER_TEMP/count.$1; n=$(cat $file 2>/dev/null || echo 0); echo $((n + 1)) >$file; echo "$1 $n"`;

  test('the n-th call gets the n-th answer, and the last one stands', async () => {
    const args = ['kubectl', 'poll'];
    const calls = await record({kubectl: counter}, [{args}, {args}, {args}]);
    const {ask, remove} = await play(recorder.folded(calls));
    const answers = [];
    for (let n = 0; n < 4; n++) answers.push((await ask(args)).stdout);
    remove();
    expect(answers).toEqual(['poll 0\n', 'poll 1\n', 'poll 2\n', 'poll 2\n']);
  });

  test('calls at the same time get different answers', async () => {
    const args = ['kubectl', 'same'];
    const calls = await record({kubectl: counter}, [{args}, {args}, {args}, {args}]);
    const {ask, remove} = await play(recorder.folded(calls));
    const answers = await Promise.all([1, 2, 3, 4].map(() => ask(args)));
    remove();
    expect(answers.map(({stdout}) => stdout).sort()).toEqual([0, 1, 2, 3].map(n => `same ${n}\n`));
  });

  test('exit code, standard error and input belong to the answer', async () => {
    const scripts = {
      kubectl: 'read -r word; echo "got $word"; echo "E0102 03:04:05.000006 7 x.go] no" >&2; exit 3'
    };
    const calls = await record(scripts, [
      {args: ['kubectl', 'apply', '-'], input: 'one\n'},
      {args: ['kubectl', 'apply', '-'], input: 'two\n'}
    ]);
    const {ask, misses, remove} = await play(recorder.folded(calls));
    const two = await ask(['kubectl', 'apply', '-'], {input: 'two\n'});
    const other = await ask(['kubectl', 'apply', '-'], {input: 'three\n'});
    const missed = misses();
    remove();
    expect(two).toMatchObject({code: 3, stdout: 'got two\n'});
    expect(two.stderr).toContain('no');
    expect(other).toMatchObject({
      code: 86,
      stderr: expect.stringContaining('no recorded answer: kubectl apply -')
    });
    expect(missed).toEqual(['kubectl apply - (recorded with other standard input)']);
  });

  test('polls that saw nothing new are folded', () => {
    const poll = (at: number, stdout: string, second: number) => ({
      at,
      argv: ['kubectl', 'get'],
      code: 1,
      stdout,
      stderr: `E1123 10:00:0${second}.000000   12 x.go] refused`
    });
    const calls = [
      poll(1000, '', 1),
      poll(2000, '', 2),
      poll(3000, 'ready', 3),
      poll(4000, 'ready', 4)
    ];
    expect(
      recorder.folded(calls).map(({at, stdout}: {at: number; stdout?: string}) => [at, stdout])
    ).toEqual([
      [0, undefined],
      [2, 'ready']
    ]);
  });

  test('a missing answer is an error that names the command', async () => {
    const {ask, misses, remove} = await play([{argv: ['kind', 'version'], code: 0}]);
    const {code, stderr} = await ask(['helm', 'pull', 'x\ny']);
    const missed = misses();
    remove();
    expect({code, stderr, missed}).toEqual({
      code: 86,
      stderr: 'no recorded answer: helm pull x y\n',
      missed: ['helm pull x y']
    });
  });

  test('the player answers in a rehearsal only', async () => {
    const {ask, remove} = await play([{argv: ['kind', 'version'], code: 0, stdout: 'v1'}]);
    const answer = await ask(['kind', 'version'], {env: {DUAL_STACK_REHEARSAL: ''}});
    remove();
    expect(answer).toMatchObject({
      code: 87,
      stdout: '',
      stderr: expect.stringContaining('DUAL_STACK_REHEARSAL')
    });
  });

  test.each([
    ['client-key-data: QUJDREVG', 'client-key-data: REDACTED'],
    ['{"certificate-authority-data":"QUJDREVG"}', '{"certificate-authority-data":"REDACTED"}'],
    ['a -----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY----- b', 'a REDACTED b'],
    ['Authorization: Bearer abcdefgh12345678', 'Authorization: Bearer REDACTED'],
    ['jwt eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsi.c2ln end', 'jwt REDACTED end'],
    ['tls.key: LS0tLS1CRUdJTiBSU0E=', 'tls.key: REDACTED'],
    ['token: abcdef.0123456789abcdef', 'token: REDACTED'],
    ['serviceAccountToken: {path: token}', 'serviceAccountToken: {path: token}'],
    ['http://registry.internal.example/x', 'http://redacted.invalid/x']
  ])('stored without secrets: %s', async (text, stored) => {
    const env = {npm_config_registry: 'https://registry.internal.example/npm/'};
    const [call] = await record(
      {kind: 'cat; cat >/dev/null'},
      [{args: ['kind', 'get'], input: text}],
      env
    );
    expect(call).toMatchObject({stdin: stored, stdout: stored});
  });

  test("this machine's directories and mirror are stored as what they stand for", async () => {
    const mirror = 'http://127.0.0.1:8765';
    const env = {
      INPUT_MIRROR: `${mirror}/`,
      RUNNER_TEMP: path.join(temp, 'home', 'temp'),
      HOME: path.join(temp, 'home')
    };
    fs.mkdirSync(env.RUNNER_TEMP, {recursive: true});
    const args = ['helm', `${mirror}/github.com/a.tgz`, `${env.RUNNER_TEMP}/k`, `${env.HOME}sick`];
    const [call] = await record({helm: 'echo "$@"'}, [{args}], env);
    const {ask, remove} = await play([call]);
    const elsewhere = path.join(temp, 'elsewhere');
    const answer = await ask(
      ['helm', 'https://github.com/a.tgz', `${elsewhere}/k`, `${env.HOME}sick`],
      {env: {RUNNER_TEMP: elsewhere}}
    );
    remove();
    expect(call.argv).toEqual([
      'helm',
      'https://github.com/a.tgz',
      '{RUNNER_TEMP}/k',
      `${env.HOME}sick`
    ]);
    expect(answer).toMatchObject({
      code: 0,
      stdout: `https://github.com/a.tgz ${elsewhere}/k ${env.HOME}sick\n`
    });
  });

  test('binary input and output are stored by their size', async () => {
    const steps = [{args: ['docker', 'import'], input: Buffer.from([0, 255, 1, 0])}];
    const [call] = await record({docker: 'cat'}, steps);
    const {ask, remove} = await play([call]);
    const answer = await ask(['docker', 'import'], {input: 'anything'});
    remove();
    expect(call).toMatchObject({stdin: {bytes: 4}, stdout: {bytes: 4}});
    expect(answer).toMatchObject({code: 0, stdout: ''});
  });

  test('text that is too long to be stored whole is told', async () => {
    const calls = await record({kubectl: 'head -c 1100000 /dev/zero | tr "\\0" x'}, [
      {args: ['kubectl', 'dump']}
    ]);
    expect(recorder.tooLong(calls)).toEqual(['kubectl dump (1100000 bytes)']);
  });

  test('a killed call is recorded as such, and hangs until it is killed', async () => {
    const steps = [{args: ['kubectl', 'logs'], kill: true}];
    const calls = await record({kubectl: 'echo line; exec sleep 60'}, steps);
    const {ask, remove} = await play(recorder.folded(calls));
    const started = Date.now();
    let printed = 0;
    const answer = await ask(['kubectl', 'logs'], {
      started: (child: ChildProcess) => {
        child.stdout?.once('data', async () => {
          printed = Date.now() - started;
          await sleep(300);
          child.kill('SIGTERM');
        });
      }
    });
    remove();
    expect(calls[0]).toMatchObject({code: null, stdout: 'line\n'});
    expect(answer).toMatchObject({code: null, stdout: 'line\n'});
    expect(Date.now() - started - printed).toBeGreaterThanOrEqual(290);
  });

  test('REPLAY_SPEED=1 answers as slowly as the real program', async () => {
    const {ask, remove} = await play([{argv: ['kind', 'create'], code: 0, ms: 800}]);
    const started = Date.now();
    await ask(['kind', 'create'], {env: {REPLAY_SPEED: '1'}});
    remove();
    expect(Date.now() - started).toBeGreaterThanOrEqual(800);
  });

  test('a file that a program writes is there in a rehearsal too', async () => {
    const args = ['kind', 'create', '--kubeconfig', path.join(temp, 'kubeconfig-written')];
    const calls = await record({kind: 'echo "token: abcdef.0123456789abcdef" >"$3"'}, [{args}]);
    fs.rmSync(args[3] ?? '');
    const {ask, remove} = await play(recorder.folded(calls));
    await ask(args);
    remove();
    expect(fs.readFileSync(args[3] ?? '', 'utf8')).toBe('token: REDACTED\n');
  });
});

/** A copy of what `npm start` needs, with a bundle of its own, and no recordings. */
function project(bundle = ''): string {
  const here = fresh();
  const programs = [
    ...['start.mjs', 'lab.mjs', 'record.mjs'].map(file => path.join('scripts', file)),
    ...['play.mjs', 'shim.mjs', 'faults.mjs'].map(file => path.join('rehearsal', file))
  ];
  for (const file of ['action.yml', 'package.json', ...programs])
    write(path.join(here, file), fs.readFileSync(path.join(root, file), 'utf8'));
  write(path.join(here, 'dist', 'index.js'), bundle);
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(here, 'node_modules'));
  return here;
}

/** Beginning of every bundle here: how it tells post from main, runs programs, and sets outputs. */
const prelude = `
import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
const post = process.env.STATE_run !== undefined;
const set = (file, text) => fs.appendFileSync(process.env['GITHUB_' + file], text + '\\n');
const ask = (...command) => {
  const {status, stdout} = spawnSync(command[0], command.slice(1), {input: '', encoding: 'utf8'});
  return status + ' ' + stdout;
};
if (!post) set('STATE', 'run<<E\\nhere\\nE');
`;

const start = (bundle: string, args: string[] = ['--dry-run'], settings: Settings = {}) => {
  const cwd = project(`${prelude}${bundle}`);
  return run(process.execPath, [path.join('scripts', 'start.mjs'), ...args], {cwd, ...settings});
};

describe('npm start', () => {
  test('help lists every input with its default', async () => {
    const {code, stdout} = await start('', ['--help']);
    const inputs =
      fs.readFileSync(path.join(root, 'action.yml'), 'utf8').split('\noutputs:')[0] ?? '';
    const names = [...inputs.matchAll(/^ {2}([a-z-]+):$/gm)].map(([, name]) => name);
    expect(code).toBe(0);
    expect(names.length).toBeGreaterThan(20);
    for (const name of [...names, 'rehearse', 'recording', 'help'])
      expect(stdout).toMatch(new RegExp(`^  --${name} `, 'm'));
    expect(stdout).toMatch(/--timeout .*15m/);
  });

  test.each([
    [
      'an unknown flag',
      ['--istio-verson', '1.29'],
      'Unknown flag --istio-verson. `npm start -- --help`'
    ],
    ['a word that is no flag', ['always'], "Unexpected argument 'always'"],
    ['a flag without its value', ['--cleanup'], '--cleanup'],
    ['a recording that is not there', ['--recording', 'nosuch'], 'no recording "nosuch"']
  ])('%s is refused', async (_, args, message) => {
    const {code, stderr} = await start('process.exit(0)', args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  test.each([
    [{npm_config_dry_run: 'true'}, 'npm start -- --dry-run'],
    [{npm_config_istio_version: '1.29'}, 'npm start -- --istio-version 1.29'],
    [{npm_config_cleanup: 'true'}, 'npm start -- --cleanup VALUE'],
    [{npm_config_rehearse: 'true'}, 'npm start -- --rehearse']
  ])('a forgotten -- is refused: %j', async (env, command) => {
    const {code, stderr} = await start('', [], {env});
    expect(code).toBe(2);
    expect(stderr).toContain(`\n  ${command}\n`);
  });

  test("npm's own settings are no flags", async () => {
    const env = {
      npm_config_cache: 'x',
      npm_config_yes: '',
      npm_config_noproxy: '',
      npm_config_prefix: 'x'
    };
    expect(await start('', ['--dry-run'], {env})).toMatchObject({code: 0});
  });

  test("inputs are flags over defaults, and another run's are not seen", async () => {
    const bundle = `if (!post) for (const name of ['CLUSTER-NAME', 'TIMEOUT', 'DRY-RUN', 'MIRROR', 'RESULTS-DIR'])
      console.log(name + '=' + process.env['INPUT_' + name]);
      if (!post) console.log('token=' + process.env.GITHUB_TOKEN);`;
    const env = {INPUT_MIRROR: 'http://other', GITHUB_TOKEN: 'x', RUNNER_TEMP: '/nowhere'};
    const {stdout} = await start(bundle, ['--cluster-name', 'mine', '--dry-run'], {env});
    expect(stdout).toContain(
      'CLUSTER-NAME=mine\nTIMEOUT=15m\nDRY-RUN=true\nMIRROR=\nRESULTS-DIR=results/run\ntoken=undefined\n'
    );
  });

  test('post gets the state, the variables and the paths of main, and its outputs are told; the exit code is main’s', async () => {
    const bundle = `
      if (!post) {
        set('ENV', 'KUBECONFIG=/k'); set('ENV', 'NODE_OPTIONS=--nosuch');
        set('PATH', '/first'); set('PATH', '/second');
        set('OUTPUT', 'result<<E\\nearly\\nE'); set('OUTPUT', 'result<<E\\nfailed\\nE');
        process.exit(7);
      }
      console.log('state=' + process.env.STATE_run + ' kubeconfig=' + process.env.KUBECONFIG);
      console.log('path=' + process.env.PATH.split(':').slice(0, 2));`;
    const {code, stdout} = await start(bundle);
    expect(code).toBe(7);
    expect(stdout).toContain('state=here kubeconfig=/k\npath=/second,/first\n');
    expect(stdout).toMatch(/^result +failed$/m);
  });

  test('summary and results are named, and RUNNER_TEMP is gone', async () => {
    const bundle = `
      const directory = process.env.GITHUB_WORKSPACE + '/' + process.env['INPUT_RESULTS-DIR'];
      if (!post) {
        fs.mkdirSync(directory, {recursive: true});
        for (const file of ['summary.md', 'results.json']) fs.writeFileSync(directory + '/' + file, '');
        set('OUTPUT', 'results-dir=' + directory); set('OUTPUT', 'results=' + directory + '/results.json');
        console.log('temp=' + process.env.RUNNER_TEMP + ' ' + (fs.statSync(process.env.RUNNER_TEMP).mode & 0o777).toString(8));
      }`;
    const {stdout} = await start(bundle);
    const [, runnerTemp = '', mode] = /temp=(\S+) (\d+)/.exec(stdout) ?? [];
    expect(stdout).toMatch(/^Summary +results\/run\/summary\.md$/m);
    expect(stdout).toMatch(/^Results +results\/run\/results\.json$/m);
    expect(mode).toBe('700');
    expect(fs.existsSync(runnerTemp)).toBe(false);
  });

  test('a cluster that stays is told, and its kubeconfig stays too', async () => {
    const bundle = `
      const file = process.env.RUNNER_TEMP + '/kubeconfig';
      if (!post) { fs.writeFileSync(file, ''); set('OUTPUT', 'kubeconfig=' + file); set('OUTPUT', 'cluster-name=mine'); }`;
    const {stdout} = await start(bundle, ['--dry-run', '--cleanup', 'never']);
    const [, file = ''] = /export KUBECONFIG=(\S+)/.exec(stdout) ?? [];
    const kept = fs.existsSync(file);
    fs.rmSync(path.dirname(file), {recursive: true, force: true});
    expect(kept).toBe(true);
    expect(stdout).toContain('kind delete cluster --name mine');
  });

  test('foreign text cannot act', async () => {
    const bundle = `if (!post) {
      console.log('::add-mask::hunter2');
      console.log('::group::A group%0Aof two');
      console.log('::stop-commands::TOKEN');
      console.log('::add-mask::group');
      console.log('::error::fake');
      console.log('##[error]fake too');
      console.log('it says hunter2 \\u001b]0;title\\u0007 and \\u001b[2J');
      console.log('::TOKEN::');
      console.log('::endgroup::');
      console.error('  ::error title=Echo::no answer');
    }`;
    const {stdout} = await start(bundle);
    expect(stdout).toContain(
      'A group\nof two\n::add-mask::group\n::error::fake\n##[error]fake too\nit says *** ]0;title and [2J\n'
    );
    expect(stdout).toContain('Echo: no answer\n');
    expect(stdout).not.toMatch(/hunter2|stop-commands|TOKEN|endgroup|^ *::error title/m);
  });

  test('inside a workflow, what is printed is no command there', async () => {
    const {stdout} = await start(
      `if (!post) console.log('::stop-commands::T\\n::error::fake\\n::T::');`,
      ['--dry-run'],
      {env: {GITHUB_ACTIONS: 'true'}}
    );
    const [, token = ''] = /^::stop-commands::(.{36})\n/.exec(stdout) ?? [];
    expect(token).not.toBe('');
    expect(stdout.trimEnd().endsWith(`::${token}::`)).toBe(true);
    expect(stdout.indexOf('::error::fake')).toBeGreaterThan(0);
  });

  test('Ctrl-C ends main as the runner does, and post still runs', async () => {
    const bundle = `
      if (post) console.log('cleaned up');
      else {
        process.on('SIGINT', () => { console.log('interrupted'); process.exit(3); });
        setInterval(() => {}, 1000);
        console.log('ready');
      }`;
    const started = (child: ChildProcess) => {
      child.stdout?.on('data', data => `${data}`.includes('ready') && child.kill('SIGINT'));
    };
    const {code, stdout} = await start(bundle, ['--dry-run'], {started});
    expect(code).toBe(3);
    expect(stdout).toMatch(/Cancelling[\s\S]*interrupted[\s\S]*cleaned up/);
  });

  test('a second Ctrl-C ends at once', async () => {
    const bundle = `
      if (post) console.log('cleaned up');
      else { process.on('SIGINT', () => console.log('no')); setInterval(() => {}, 1000); console.log('ready'); }`;
    const started = (child: ChildProcess) => {
      child.stdout?.on('data', async data => {
        if (!`${data}`.includes('ready')) return;
        child.kill('SIGINT');
        await sleep(20);
        child.kill('SIGINT'); // npm's copy of the first one
        await sleep(700);
        child.kill('SIGINT');
      });
    };
    const {code, stdout} = await start(bundle, ['--dry-run'], {started});
    expect(code).toBe(130);
    expect(stdout).toMatch(/ready[\s\S]*no[\s\S]*Ended at once/);
    expect(stdout).not.toContain('cleaned up');
  });
});

describe('a rehearsal by npm start', () => {
  const bundle = `${prelude}
    process.on('SIGINT', () => process.exit(9));
    console.log((post ? 'post ' : 'main ') + ask('kind', 'get', process.env['INPUT_CLUSTER-NAME']) + process.env.DUAL_STACK_REHEARSAL);`;
  const calls = [{argv: ['kind', 'get', 'recorded'], code: 0, stdout: 'answer '}];
  const rehearsed = (args: string[], env = {}) => {
    const here = project(bundle);
    store(here, 'healthy', calls, {'cluster-name': 'recorded'});
    return run(process.execPath, [path.join('scripts', 'start.mjs'), ...args], {cwd: here, env});
  };

  test('is what happens without Docker, and says so first', async () => {
    const {code, stdout} = await rehearsed([], {PATH: fresh()});
    const [first] = stdout.split('\n');
    expect(first).toMatch(
      /this is a rehearsal, recorded answers of a real run \("healthy"\), no cluster is made\.$/
    );
    expect(stdout).toContain('main 0 answer healthy\n');
    expect(stdout).toContain('post 0 answer healthy\n');
    expect(code).toBe(0);
  });

  test('ends at a command that was not recorded, and names it', async () => {
    const {code, stdout} = await rehearsed(['--rehearse', '--cluster-name', 'other']);
    expect(stdout).toContain('no recorded answer: kind get other\n');
    expect(code).not.toBe(0);
  });

  test('has a stand-in for every program', async () => {
    const stand = standIns('replay');
    const names = fs.readdirSync(stand.bin).sort();
    stand.remove();
    expect(names).toEqual([...programs].sort());
  });

  (process.platform === 'linux' ? test : test.skip)(
    'plays what npm run record has recorded',
    async () => {
      const here = project(`${prelude}
      const out = process.env['INPUT_RESULTS-DIR'];
      const said = ask('kind', 'get', 'clusters');
      if (!post) {
        fs.mkdirSync(out, {recursive: true});
        const failure = {class: 'input', layer: null};
        fs.writeFileSync(out + '/results.json', JSON.stringify({result: 'error', failure, started: '2026-01-01T00:00:00Z', versions: {kind: {asked: null, found: 'v0'}}}));
        console.log('kind says ' + said);
        process.exitCode = 5;
      }`);
      const real = fakePrograms({docker: 'echo 28', kind: 'echo "a cluster"'});
      const taken = ['round', '--istio-version', '1.29', '--mirror', 'http://127.0.0.1:1'];
      const recorded = await run(process.execPath, [path.join('scripts', 'record.mjs'), ...taken], {
        cwd: here,
        env: {PATH: `${real}:${process.env.PATH}`}
      });
      const about = JSON.parse(
        fs.readFileSync(path.join(here, recordingsHere, 'round', 'recording.json'), 'utf8')
      );
      const played = await run(
        process.execPath,
        [path.join('scripts', 'start.mjs'), '--recording', 'round'],
        {
          cwd: here
        }
      );
      expect(recorded.stdout).toContain('Recorded 1 calls');
      expect(about).toMatchObject({
        inputs: {
          'istio-version': '1.29',
          'kind-version': 'path',
          'kubectl-version': 'path',
          'helm-version': 'path'
        },
        versions: {kind: 'v0'},
        expect: {code: 5, result: 'error', 'failure-class': 'input', 'failed-layer': ''}
      });
      expect(about.inputs).not.toHaveProperty('mirror');
      expect(played.stdout).toContain('kind says 0 a cluster\n');
      expect(played.code).toBe(5);
    }
  );
});
