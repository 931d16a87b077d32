import {describe, expect, test} from '@jest/globals';
import {
  applyEnvironment,
  buildToolEnvironment,
  refuseKindProvider,
  refuseRemoteDocker
} from '../src/plan/environment.ts';
import {eachOnRunner} from './fake.ts';

eachOnRunner();

const own = (env: NodeJS.ProcessEnv, config = '') => buildToolEnvironment(env, config, '/private');
const ours = {
  HELM_CACHE_HOME: '/private/helm',
  HELM_CONFIG_HOME: '/private/helm',
  HELM_DATA_HOME: '/private/helm',
  KUBECACHEDIR: '/private/kubectl',
  KUBERC: 'off'
};
const refusal = (run: () => void): {message?: string} => {
  try {
    run();
    return {};
  } catch (error) {
    return error as Error;
  }
};

describe('the environment', () => {
  test('has our own places', () => expect(own({PATH: '/bin', HOME: '/home/a'})).toEqual(ours));

  test('of Helm is wholly ours', () => {
    const theirs = ['NAMESPACE', 'KUBECONTEXT', 'DRIVER', 'PLUGINS', 'KUBEAPISERVER', 'DATA_HOME'];
    const env = Object.fromEntries(theirs.map(name => [`HELM_${name}`, 'theirs']));
    Object.assign(process.env, env);
    applyEnvironment(own(process.env));
    const helm = Object.entries(process.env).filter(([name]) => name.startsWith('HELM_'));
    expect(Object.fromEntries(helm)).toEqual({
      HELM_CACHE_HOME: '/private/helm',
      HELM_CONFIG_HOME: '/private/helm',
      HELM_DATA_HOME: '/private/helm'
    });
  });

  const always = 'localhost,127.0.0.1,::1';
  const docker = (proxies: object) => JSON.stringify({auths: {}, proxies});
  test.each<[string, NodeJS.ProcessEnv, string, string | undefined]>([
    ['no proxy', {NO_PROXY: 'a.example'}, docker({}), undefined],
    ['a proxy', {HTTPS_PROXY: 'http://p:1'}, '', always],
    ['one in small letters', {http_proxy: 'http://p:1', no_proxy: 'a'}, '', `a,${always}`],
    [
      'exceptions of its own',
      {HTTP_PROXY: 'http://p:1', NO_PROXY: 'a.example, localhost'},
      '',
      'a.example,localhost,127.0.0.1,::1'
    ],
    [
      'one that Docker hands to containers',
      {},
      docker({default: {httpsProxy: 'http://p:1', noProxy: 'b.example'}}),
      `b.example,${always}`
    ],
    [
      'both',
      {HTTPS_PROXY: 'http://p:1', NO_PROXY: 'a'},
      docker({default: {httpProxy: 'http://p:1', noProxy: 'b'}}),
      `a,b,${always}`
    ],
    ['a configuration that is none', {}, 'no JSON', undefined]
  ])('with %s has the node asked directly', (_, env, config, expected) => {
    const {NO_PROXY, no_proxy} = own(env, config);
    expect([NO_PROXY, no_proxy]).toEqual([expected, expected]);
  });

  test.each(['', 'docker', undefined])('kind by Docker (%j) is accepted', provider =>
    expect(refusal(() => refuseKindProvider({KIND_EXPERIMENTAL_PROVIDER: provider}))).toEqual({})
  );

  test.each(['podman', 'nerdctl', 'nonsense'])('kind by %s is refused', provider =>
    expect(refusal(() => refuseKindProvider({KIND_EXPERIMENTAL_PROVIDER: provider}))).toMatchObject(
      {
        attribution: {class: 'input'},
        message: expect.stringMatching(/^Invalid `KIND_EXPERIMENTAL_PROVIDER` ".*expected `docker`/)
      }
    )
  );
});

describe('Docker', () => {
  test.each([
    '',
    'unix:///var/run/docker.sock',
    'unix:///run/user/1000/docker.sock',
    'npipe:////./pipe/docker_engine',
    'tcp://localhost:2375',
    'tcp://127.0.0.1:2375',
    'tcp://[::1]:2376'
  ])('at %j is on this machine', endpoint =>
    expect(refusal(() => refuseRemoteDocker(endpoint, undefined))).toEqual({})
  );

  test.each(['tcp://docker:2375', 'ssh://me@host.example', 'tcp://192.0.2.1:2376'])(
    'at %j is elsewhere, where an address must be given',
    endpoint => {
      expect(refusal(() => refuseRemoteDocker(endpoint, undefined))).toMatchObject({
        attribution: {class: 'input'},
        message: expect.stringContaining('networking.apiServerAddress')
      });
      expect(refusal(() => refuseRemoteDocker(endpoint, '192.0.2.1'))).toEqual({});
    }
  );
});
