import type {ChildProcess} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {describe, expect, jest, test} from '@jest/globals';
import {catalogue as ofToday} from '../src/checks/catalogue.ts';
import type {CheckResult} from '../src/results/results.ts';
import {
  fresh,
  prelude,
  programsIn,
  project,
  recordingsHere,
  root,
  run,
  type Settings,
  store,
  temp
} from './project.ts';
import {validator} from './schema.ts';

const player = path.join(root, 'rehearsal', 'play.mjs');
const {standIns, recordings, programs, recording, recordingDirectory, readCalls} = await import(
  player
);
const recorder = await import(path.join(root, 'scripts', 'record.mjs'));

jest.setTimeout(120_000);

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
      const written = JSON.parse(fs.readFileSync(path.join(results, 'results.json'), 'utf8'));
      expect(validator('results').errors(written)).toBeNull();
      const {result, failure, rehearsal, checks} = written;
      // in ambient a client sees where it asked, and ztunnel alone where it went
      if (result === 'passed' && about.inputs['dataplane-mode'] !== 'ambient')
        expect(withoutUpstream(checks)).toEqual([]);
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
  const PATH = [stand.bin, programsIn(scripts), process.env.PATH].join(':');
  for (const {
    args: [program = '', ...args],
    input,
    kill
  } of steps)
    await run(program, args, {
      ...(input !== undefined && {input}),
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

  test('what is asked in a pod is not: several checks ask the same, each in its turn', () => {
    const asked = (at: number, stdout: string) => ({
      at,
      argv: ['kubectl', 'exec', 'deployment/sleep'],
      code: 0,
      stdout
    });
    const calls = [asked(1000, 'old'), asked(2000, 'old'), asked(3000, 'new')];
    expect(recorder.folded(calls).map(({stdout}: {stdout: string}) => stdout)).toEqual([
      'old',
      'old',
      'new'
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

  const things = (...kinds: string[]) =>
    JSON.stringify({kind: 'List', items: kinds.map(kind => ({kind}))});
  const list = {
    argv: ['kubectl', 'get', 'nodes,pods,endpointslices', '-A', '-o', 'json'],
    code: 0,
    stdout: things('Node', 'Pod', 'EndpointSlice')
  };

  test.each([
    [
      'in another order',
      ['get', '-o', 'json', '--all-namespaces', 'pods,endpointslices,nodes'],
      ['Node', 'Pod', 'EndpointSlice']
    ],
    [
      'with a kind more',
      ['get', 'nodes,pods,endpointslices,gateways', '-A', '-o', 'json'],
      ['Node', 'Pod', 'EndpointSlice']
    ],
    ['with kinds less', ['get', 'endpointslices', '-A', '-o', 'json'], ['EndpointSlice']],
    ['with one more and others less', ['get', 'events,pods', '-A', '-o', 'json'], ['Pod']]
  ])('a list is answered when it is asked for %s', async (_, args, kinds) => {
    const {ask, misses, remove} = await play([list]);
    const {code, stdout} = await ask(['kubectl', ...args]);
    const missed = misses();
    remove();
    expect({code, missed}).toEqual({code: 0, missed: []});
    expect(JSON.parse(stdout).items.map(({kind}: {kind: string}) => kind)).toEqual(kinds);
  });

  test.each([
    ['of none of the kinds', ['get', 'gateways', '-A', '-o', 'json']],
    ['of another namespace', ['get', 'nodes,pods,endpointslices', '-n', 'x', '-o', 'json']],
    ['for people', ['get', 'nodes,pods', '-A', '-o', 'wide']],
    ['of one object', ['get', 'pods', 'x', '-A', '-o', 'json']]
  ])('a list that was not recorded is a miss: %s', async (_, args) => {
    const {ask, misses, remove} = await play([list]);
    const {code} = await ask(['kubectl', ...args]);
    const missed = misses();
    remove();
    expect({code, missed}).toEqual({code: 86, missed: [`kubectl ${args.join(' ')}`]});
  });

  test('a list with other kinds has the turns and the failures of the recorded one', async () => {
    const refused = {argv: list.argv, code: 1, stderr: 'refused'};
    const {ask, remove} = await play([list, refused]);
    const first = await ask(list.argv);
    const second = await ask(['kubectl', 'get', 'pods', '-A', '-o', 'json']);
    remove();
    expect(first).toMatchObject({code: 0});
    expect(second).toMatchObject({code: 1, stdout: '', stderr: 'refused'});
  });

  test('an archive of fewer images is that of the recorded ones; one of others is a miss', async () => {
    const argv = (...images: string[]) => [
      'docker',
      'save',
      '--output',
      `${temp}/a.tar`,
      ...images
    ];
    const {ask, remove} = await play([
      {argv: argv('a', 'b', 'c').map(word => word.replace(temp, '{RUNNER_TEMP}')), code: 0}
    ]);
    const fewer = await ask(argv('c', 'a'));
    const others = await ask(argv('a', 'd'));
    remove();
    expect([fewer.code, others.code]).toEqual([0, 86]);
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
      DUAL_STACK_MIRROR: `${mirror}/`,
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
    expect(stdout).toMatch(/ready[\s\S]*no[\s\S]*Stopped at once/);
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
    store(here, 'healthy', calls, {inputs: {'cluster-name': 'recorded'}});
    return run(process.execPath, [path.join('scripts', 'start.mjs'), ...args], {cwd: here, env});
  };

  test('is what happens without Docker, and says so first', async () => {
    const {code, stdout} = await rehearsed([], {PATH: fresh()});
    const [first] = stdout.split('\n');
    expect(first).toMatch(
      /this is a rehearsal\. It replays recorded answers of a real run \("healthy"\) and creates no cluster\.$/
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

  /** Tells, as every bundle does, the checks that it is asked for; where it finds programs, it asks them too. */
  const catalogue = [
    'echo/ipv4/name',
    'echo/ipv6/name',
    'http/ipv4/name',
    'http/ipv6/name',
    'uninstall/istio/namespace'
  ];
  const newer = (commands: string[][] = []) => `${prelude}
    const [, not = '', pattern = ''] = /^(!?)(.*)$/.exec(process.env.INPUT_CHECKS);
    const asked = ${JSON.stringify(catalogue)}.filter(id => ['', 'documented'].includes(pattern) || new RegExp(pattern).test(id) !== (not === '!'))
      .filter(id => pattern !== 'documented' || id.startsWith('echo/'))
      .filter(id => !id.startsWith('uninstall/') || (not === '' && pattern.includes('uninstall')));
    if (!post) {
      const out = process.env['INPUT_RESULTS-DIR'];
      fs.mkdirSync(out, {recursive: true});
      fs.writeFileSync(out + '/results.json', JSON.stringify({checks: asked.map(id => ({id}))}));
      console.log('checks=' + process.env.INPUT_CHECKS + ' asked=' + asked);
      for (const command of ${JSON.stringify(commands)})
        console.log('answer ' + ask(...command.map(word => word.replace('TEMP', process.env.RUNNER_TEMP))));
    }`;
  const older = (
    about: object,
    args: string[],
    commands: string[][] = [],
    recorded: object[] = []
  ) => {
    const here = project(newer(commands));
    store(here, 'healthy', recorded, about);
    return run(process.execPath, [path.join('scripts', 'start.mjs'), '--rehearse', ...args], {
      cwd: here
    });
  };

  test.each([
    [
      'nothing is newer',
      ['echo/ipv4/name', 'echo/ipv6/name', 'http/ipv4/name', 'http/ipv6/name'],
      [],
      '',
      '',
      4
    ],
    [
      'a check is newer',
      ['echo/ipv4/name', 'echo/ipv6/name', 'http/ipv4/name'],
      [],
      '!^(http/ipv6/)',
      'Not run: 1 check that is newer than this recording (http/ipv6).',
      3
    ],
    [
      'a layer is newer',
      ['echo/ipv4/name', 'echo/ipv6/name'],
      [],
      '!^(http/)',
      'Not run: 2 checks that are newer than this recording (http).',
      2
    ],
    [
      'a check is gone',
      ['echo/ipv4/name', 'echo/ipv6/name', 'http/ipv4/name', 'http/ipv6/name', 'old/ipv4/name'],
      [],
      '',
      '',
      4
    ],
    [
      'newer ones are not asked for',
      ['echo/ipv4/name', 'echo/ipv6/name'],
      ['--checks', '^echo/'],
      '^echo/',
      '',
      2
    ],
    [
      'some of those asked for are newer',
      ['echo/ipv4/name', 'echo/ipv6/name'],
      ['--checks', 'ipv4|uninstall'],
      '^(?!http/|uninstall/)(?=.*(?:ipv4|uninstall))',
      'Not run: 2 checks that are newer than this recording (http, uninstall).',
      1
    ],
    [
      'a set is asked for by its name',
      ['echo/ipv4/name'],
      ['--checks', 'documented'],
      '^(echo/ipv4/name)$',
      'Not run: 1 check that is newer than this recording (echo/ipv6).',
      1
    ],
    [
      'others are left out too',
      ['echo/ipv4/name', 'echo/ipv6/name'],
      ['--checks', '!^echo/ipv4'],
      '!^(?:http/)|^echo/ipv4',
      'Not run: 2 checks that are newer than this recording (http).',
      1
    ]
  ])(
    'leaves out what is newer than its recording: %s',
    async (_, checks, args, input, note, count) => {
      const {code, stdout} = await older({checks}, args);
      const [, second = ''] = stdout.split('\n');
      const [, given, asked = ''] = /^checks=(.*) asked=(.*)$/m.exec(stdout) ?? [];
      expect(code).toBe(0);
      expect(given).toBe(input);
      expect(asked.split(',')).toHaveLength(count);
      expect(second.startsWith('Not run: ') ? second : '').toBe(note);
    }
  );

  test('refuses what is newer altogether', async () => {
    const {code, stdout, stderr} = await older({checks: ['echo/ipv4/name']}, [
      '--checks',
      '^http/'
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain('"healthy" is older than all selected checks');
    expect(stdout).not.toContain('checks=');
  });

  const inspect = ['docker', 'image', 'inspect', '--format', '{{.Id}}', 'new:2'];
  const pull = ['docker', 'exec', '--detach', 'node', 'crictl', 'pull', 'new:2'];
  const known = [
    {argv: ['docker', 'image', 'inspect', '--format', '{{.Id}}', 'old:1'], code: 0, stdout: 'sha'}
  ];

  test('a newer image is not here, and is pulled', async () => {
    const {code, stdout} = await older({}, ['--cleanup', 'never'], [inspect, pull], known);
    expect(code).toBe(0);
    expect(stdout).toContain('answer 1 \n\nanswer 0 \n');
  });

  test.each([
    ['another run is asked for', ['--echo-image', 'new:2'], inspect],
    [
      'it is asked something else of an old one',
      [],
      ['docker', 'image', 'inspect', '--format', '{{.Size}}', 'old:1']
    ]
  ])('an image is no newer one: %s', async (_, args, command) => {
    const {code, stdout} = await older({}, args, [command], known);
    expect(code).not.toBe(0);
    expect(stdout).toContain('no recorded answer: docker image inspect');
  });

  const apply = (file: string) => ['kubectl', 'apply', '--server-side', '-f', `TEMP/${file}`];
  const applied = (file: string, code: number) => ({
    argv: apply(file).map(word => word.replace('TEMP', '{RUNNER_TEMP}')),
    code
  });
  const before = {checks: ['echo/ipv4/name', 'echo/ipv6/name']};

  test('the files of checks that are left out are applied, and deleted', async () => {
    const took = [applied('old.yaml', 1), applied('old.yaml', 0)];
    const {code, stdout} = await older(
      before,
      [],
      [apply('http.yaml'), ['kubectl', 'delete', '-f', 'TEMP/http.yaml']],
      took
    );
    expect(code).toBe(0);
    expect(stdout).toContain('answer 0 \nanswer 0 \n');
  });

  test.each([
    ['no check is left out', {checks: catalogue}, [], [applied('old.yaml', 0)], apply('http.yaml')],
    [
      'another run is asked for',
      before,
      ['--echo-image', 'mine'],
      [applied('old.yaml', 0)],
      apply('http.yaml')
    ],
    [
      'the recorded cluster did not take a file',
      before,
      [],
      [applied('old.yaml', 0), applied('bad.yaml', 1)],
      apply('http.yaml')
    ],
    ['the recorded cluster was given none', before, [], [], apply('http.yaml')],
    [
      'it is an old file',
      before,
      [],
      [applied('old.yaml', 0)],
      ['kubectl', 'delete', '-f', 'TEMP/old.yaml']
    ],
    [
      'it looks at what came of it',
      before,
      [],
      [applied('old.yaml', 0)],
      ['kubectl', 'wait', '--for=condition=Ready', '-f', 'TEMP/http.yaml']
    ]
  ])('a file is not taken for one of those: %s', async (_, about, args, recorded, command) => {
    const {code, stdout} = await older(about, args, [command], recorded);
    expect(code).not.toBe(0);
    expect(stdout).toContain(`no recorded answer: kubectl ${command[1]}`);
  });
});

describe('the bundle, rehearsed with an older recording', () => {
  test('passes without the checks that the recording does not know', async () => {
    const here = project(fs.readFileSync(path.join(root, 'dist', 'index.js'), 'utf8'));
    const {checks, ...about} = recording('healthy');
    const old = checks.filter((id: string) => !id.startsWith('failover/'));
    store(
      here,
      'healthy',
      readCalls(recordingDirectory('healthy')).filter(
        ({argv}: {argv: string[]}) => !/dual-stack-check/.test(argv.join())
      ),
      {...about, checks: old}
    );
    const {code, stdout} = await run(
      process.execPath,
      [path.join('scripts', 'start.mjs'), '--rehearse'],
      {cwd: here}
    );
    const results = JSON.parse(
      fs.readFileSync(path.join(here, 'results', 'rehearsal', 'results.json'), 'utf8')
    );
    expect(stdout).toMatch(
      /^Not run: \d+ checks that are newer than this recording \(.*failover.*\)\.$/m
    );
    expect(code).toBe(0);
    const today = ofToday.map(({id}) => id); // some of that time are gone
    expect(results.checks.map(({id}: CheckResult) => id)).toEqual(
      old.filter((id: string) => today.includes(id))
    );
    expect(results.inputs.checks).toMatch(/^!\^\(.*failover\/.*\)$/);
  });
});
