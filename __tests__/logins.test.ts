import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {beforeEach, describe, expect, test} from '@jest/globals';
import {redact, setHiddenTexts} from '../src/base/log.ts';
import type {Sh} from '../src/base/sh.ts';
import {copyLoginsToNodes, findLogins, readDockerConfig} from '../src/phases/logins.ts';
import {eachOnRunner, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';

const runner = eachOnRunner();
beforeEach(() => setHiddenTexts([]));

const auth = (login: string) => Buffer.from(login).toString('base64');
const [mine, other] = [auth('me:pass word'), auth('you:secret2')];
const plan = planOf({'operator-image': 'quay.io/me/sail:pr', 'echo-image': 'me/echo:1'});
const find = async (config: object, sh: Sh = fakeSh({})) =>
  Object.fromEntries(await findLogins(plan, JSON.stringify(config), fakeWork(), sh));

describe('logins', () => {
  test.each<[string, object, Record<string, string>]>([
    ['of the registries of the images', {'quay.io': mine}, {'quay.io': mine}],
    ['by whatever Docker calls them', {'https://quay.io/v1/': mine}, {'quay.io': mine}],
    ['of Docker Hub', {'https://index.docker.io/v1/': mine}, {'docker.io': mine}],
    ['and no others', {'ghcr.io': other}, {}],
    ['and none that is empty', {'quay.io': ''}, {}]
  ])('are taken from config.json: %s', async (_, auths, expected) => {
    const entries = Object.entries(auths).map(([key, auth]) => [key, {auth}]);
    expect(await find({auths: Object.fromEntries(entries)})).toEqual(expected);
  });

  test('of a registry that only the values name are taken too', async () => {
    const values = planOf({'istio-values': 'global: {hub: ghcr.io/me/istio}'});
    const config = JSON.stringify({auths: {'ghcr.io': {auth: other}, 'gcr.io': {auth: mine}}});
    const found = await findLogins(values, config, fakeWork(), fakeSh({}));
    expect(Object.fromEntries(found)).toEqual({'ghcr.io': other});
  });

  test.each([
    ['the registry’s own', {credHelpers: {'quay.io': 'quay'}, credsStore: 'all'}, 'quay'],
    ['that of all', {credsStore: 'all'}, 'all']
  ])('are asked of a credential helper: %s', async (_, config, helper) => {
    const sh = fakeSh(([program, , what]) =>
      program === 'printf' && what === 'quay.io'
        ? '{"ServerURL":"quay.io","Username":"me","Secret":"pass word"}'
        : {code: 1, stdout: 'credentials not found in native keychain'}
    );
    expect(await find(config, sh)).toEqual({'quay.io': mine});
    expect(sh.calls).toContain(`printf %s quay.io | docker-credential-${helper} get`);
  });

  test('a helper of an odd name is not run', async () => {
    expect(await find({credsStore: '../evil'})).toEqual({});
  });

  test.each([
    [{auths: {'quay.io': {auth: mine, identitytoken: 'abc'}}}, fakeSh({})],
    [{credsStore: 'all'}, fakeSh(() => '{"Username":"<token>","Secret":"abc"}')]
  ])('an identity token is left out, and told: %j', async (config, sh) => {
    expect(await find(config, sh)).toEqual({});
    expect(runner.log()).toContain('quay.io is an identity token');
  });

  test.each(['', 'null', '[]', '{"auths": null}', 'no JSON'])(
    'there are none in %j',
    async text => {
      expect([...(await findLogins(plan, text, fakeWork(), fakeSh({})))]).toEqual([]);
    }
  );

  test('are hidden from all that is told, beside what was hidden before', async () => {
    setHiddenTexts(['hunter2']);
    await find({auths: {'quay.io': {auth: mine}}});
    expect(redact(`x ${mine} y pass word z hunter2`)).toBe('x [removed] y [removed] z [removed]');
    expect(runner.log()).toContain(`::add-mask::${mine}`);
  });

  test('are read where Docker keeps them', async () => {
    fs.writeFileSync(path.join(runner.directory, 'config.json'), '{}');
    expect(await readDockerConfig({DOCKER_CONFIG: runner.directory})).toBe('{}');
    expect(await readDockerConfig({HOME: '/nonexistent'})).toBe('');
  });
});

describe('the nodes', () => {
  const here = {...planOf(), directory: ''};
  beforeEach(() => {
    here.directory = runner.directory;
  });

  test('get them by standard input, from a file that only we can read, and that is gone then', async () => {
    const seen: {text: string; mode: number}[] = [];
    const sh = fakeSh(([program, file = '']) => {
      if (program === 'cat')
        seen.push({text: fs.readFileSync(file, 'utf8'), mode: fs.statSync(file).mode & 0o777});
      return '';
    });
    await copyLoginsToNodes(here, new Map([['docker.io', mine]]), sh);
    const text = `{"auths":{"https://index.docker.io/v1/":{"auth":"${mine}"}}}`;
    expect(seen).toEqual([{text, mode: 0o600}]);
    expect(sh.calls.join()).not.toContain(mine);
    expect(fs.readdirSync(runner.directory)).not.toContain('logins.json');
  });

  test('keep them where the kubelet looks, which has not made its directory yet', async () => {
    let command: string[] = [];
    await copyLoginsToNodes(
      here,
      new Map([['quay.io', mine]]),
      async (_, {pipeTo = []} = {seconds: 1}) => {
        command = pipeTo;
        return {code: 0, stdout: '', stderr: '', timedOut: false};
      }
    );
    const own = path.join(runner.directory, 'kubelet');
    const [, script = '', name = ''] = command.slice(command.indexOf('-c'));
    const words = ['-c', script.replaceAll('/var/lib/kubelet', own), name];
    expect(spawnSync('bash', words, {input: 'logins'}).status).toBe(0);
    expect(fs.readFileSync(path.join(own, 'config.json'), 'utf8')).toBe('logins');
    const modes = [own, path.join(own, 'config.json')].map(file => fs.statSync(file).mode & 0o777);
    expect(modes).toEqual([0o750, 0o600]);
  });

  test('that cannot take them end the run, and no file stays', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'no space left'}));
    await expect(copyLoginsToNodes(here, new Map([['quay.io', mine]]), sh)).rejects.toThrow(
      'no space'
    );
    expect(fs.readdirSync(runner.directory)).not.toContain('logins.json');
  });

  test('are not asked where there are none', () =>
    expect(copyLoginsToNodes(here, new Map(), fakeSh({}))).resolves.toBeUndefined());
});
