import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {
  checkForPodProblems,
  createPodFault,
  filterByKind,
  findByFamily,
  findPodProblems,
  getClusterIps,
  getPodIps,
  type ImageOwner,
  listObjects,
  type Pod,
  type Service
} from '../src/base/kube.ts';
import {fakeSh} from './fake.ts';
import {healthy, pod, waiting} from './things.ts';

const who = {class: 'istio', layer: 'workload'} as const;
const image = 'registry.example/proxyv2:1.30.3';
const gone = `rpc error: code = NotFound desc = failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`;

/** A pod with a sidecar whose containers wait like this. */
const troubled = (reason: string, message?: string, restarts = 2): Pod =>
  pod('ipv4', 'tcp-echo', {
    ready: false,
    statuses: [waiting('tcp-echo', reason, message, restarts)]
  });

describe('get', () => {
  const [one, two] = ['a', 'b'].map(name => ({metadata: {name}}));
  test.each([
    ['a list', JSON.stringify({items: [one, two]}), [one, two]],
    ['one object', JSON.stringify(one), [one]],
    ['what is no object as none', JSON.stringify({items: [null, 5, one, {metadata: 5}]}), [one]]
  ])('reads %s', async (_, text, expected) => {
    expect(await listObjects(fakeSh({'kubectl get pods -A -o json': text}), 'pods', '-A')).toEqual(
      expected
    );
  });

  test('throws what kubectl says', async () => {
    const sh = fakeSh({'kubectl get pods -o json': {code: 1, stderr: 'the server said no'}});
    await expect(listObjects(sh, 'pods')).rejects.toThrow('the server said no');
  });
});

test.each([
  [['10.96.0.1', 'fd00::1'], 'ipv6', 'fd00::1'],
  [['fd00::1', '10.96.0.1'], 'ipv4', '10.96.0.1'],
  [['172.18.0.0/16'], 'ipv6', undefined],
  [[], 'ipv4', undefined]
] as const)('ofFamily: %j has for %s %s', (addresses, family, expected) => {
  expect(findByFamily([...addresses], family)).toBe(expected);
});

test.each([
  [
    ['10.96.0.7', 'fd00::7'],
    ['10.96.0.7', 'fd00::7']
  ],
  [['None'], []],
  [['--option', '10.96.0.7'], ['10.96.0.7']],
  [['$(touch x)', '10.96.0.7; touch x', '10.96.0.7/24'], []]
])('the addresses among %j', (found, expected) => {
  const pod = {status: {podIPs: found.map(ip => ({ip}))}} as Pod;
  expect(getPodIps(pod)).toEqual(expected);
  expect(getClusterIps({spec: {clusterIPs: found}} as Service)).toEqual(expected);
});

test('ofKind knows kind and namespace', () => {
  expect(filterByKind(healthy(), 'Pod', 'plain').map(({metadata}) => metadata.name)).toEqual([
    'tcp-echo-1',
    'sleep-1'
  ]);
  expect(filterByKind(healthy(), 'Service')).toHaveLength(6);
  expect(filterByKind(healthy(), 'Node')).toEqual([]);
});

describe('troubles', () => {
  test.each<[string, Pod]>([
    ['is ready', pod('ipv4', 'tcp-echo')],
    ['is just being made', troubled('ContainerCreating')],
    ['waits for its init containers', troubled('PodInitializing')],
    ['crashed once', troubled('CrashLoopBackOff', 'back-off', 1)],
    ['has not been looked at', pod('ipv4', 'tcp-echo', {ready: false})]
  ])('a pod that %s has none', (_, pod) => expect(findPodProblems([pod])).toEqual([]));

  test.each([
    // reason, message, final
    ['ErrImagePull', gone, true],
    ['ImagePullBackOff', `Back-off pulling image "${image}": ErrImagePull: ${gone}`, true],
    ['ImagePullBackOff', `Back-off pulling image "${image}"`, false],
    ['ErrImagePull', 'manifest unknown: manifest unknown', true],
    ['ErrImagePull', 'manifest for x:1 not found: manifest unknown', true],
    ['ErrImagePull', 'pull access denied, repository does not exist', true],
    ['ErrImagePull', 'no match for platform in manifest: not found', true],
    ['ErrImagePull', 'read /var/lib: permission denied', false],
    ['ErrImagePull', 'failed to pull "denied.lab.test/x:1": EOF', false],
    [
      'InvalidImageName',
      'Failed to apply default image tag "A": couldn\'t parse image name "A"',
      true
    ],
    [
      'ErrImagePull',
      '429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit',
      false
    ],
    ['ErrImagePull', 'dial tcp: lookup registry.example: no such host', false],
    ['ErrImagePull', 'dial tcp 192.0.2.1:443: i/o timeout', false],
    [
      'ErrImageNeverPull',
      `Container image "${image}" is not present with pull policy of Never`,
      false
    ],
    ['CrashLoopBackOff', 'back-off 10s restarting failed container', false],
    ['CreateContainerConfigError', 'secret "x" not found', false],
    ['CreateContainerError', 'context deadline exceeded', false],
    ['RunContainerError', 'no such file or directory', false],
    ['CrashLoopBackOff', 'permission denied', false] // only a pull is final by its message
  ])('%s: %s', (reason, message, final) => {
    expect(findPodProblems([troubled(reason, message)])).toEqual([
      {
        pod: 'tcp-echo-1',
        namespace: 'ipv4',
        reason,
        message,
        permanent: final,
        image: 'registry.example/tcp-echo:1'
      }
    ]);
  });

  test('the init containers are read first: a missing proxy image shows there', () => {
    const found = findPodProblems([
      pod('ipv4', 'tcp-echo', {
        ready: false,
        init: [
          waiting('istio-init', 'ErrImagePull', gone),
          waiting('istio-proxy', 'PodInitializing')
        ],
        statuses: [waiting('tcp-echo', 'CrashLoopBackOff', 'later')]
      })
    ]);
    expect(found.map(({reason}) => reason)).toEqual(['ErrImagePull']);
  });

  test('a pod that finds no room', () => {
    const message = '0/1 nodes are available: 1 Insufficient cpu.';
    expect(
      findPodProblems([pod('ipv4', 'tcp-echo', {ready: false, unschedulable: message})])
    ).toEqual([
      {
        pod: 'tcp-echo-1',
        namespace: 'ipv4',
        reason: 'Unschedulable',
        message,
        image: null,
        permanent: false
      }
    ]);
  });
});

describe('troubleFault', () => {
  const fault = (reason: string, message: string) =>
    createPodFault(findPodProblems([troubled(reason, message)])[0] as never, who);

  test.each([
    ['ErrImagePull', gone, 'istio'],
    ['ErrImagePull', 'toomanyrequests: rate limit', 'infrastructure'],
    ['ImagePullBackOff', 'ErrImagePull: dial tcp: lookup x: no such host', 'infrastructure'],
    ['ErrImagePull', 'net/http: TLS handshake timeout', 'infrastructure'],
    ['ErrImagePull', 'unexpected status: 503 Service Unavailable', 'infrastructure'],
    ['ErrImagePull', 'received unexpected HTTP status: 502 Bad Gateway', 'infrastructure'],
    ['ErrImagePull', 'size 1503 of 2500 bytes', 'infrastructure'],
    ['ErrImageNeverPull', 'is not present with pull policy of Never', 'istio'],
    ['CrashLoopBackOff', 'back-off', 'istio'],
    ['CrashLoopBackOff', 'connection refused', 'istio'] // no registry had a part in it
  ])('%s: %s is the fault of %s', (reason, message, failureClass) => {
    const {attribution, message: told} = fault(reason, message);
    expect(attribution).toMatchObject({
      class: failureClass,
      layer: 'workload',
      reproduce: 'kubectl describe pods -n ipv4' // its name is another one in the next cluster
    });
    expect(told).toBe(`Pod ipv4/tcp-echo-1: ${reason}: ${message}`);
  });

  test('no room is the fault of the infrastructure, and says what helps', () => {
    const [trouble] = findPodProblems([
      pod('ipv4', 'tcp-echo', {ready: false, unschedulable: 'no cpu'})
    ]);
    const {attribution} = createPodFault(trouble as never, who);
    expect(attribution.class).toBe('infrastructure');
    expect(attribution.hint).toMatch(/No node can take the pod\. Use a larger runner/);
  });

  test.each([
    [
      'ErrImagePull',
      'The image registry.example/tcp-echo:1 cannot be pulled: registry.example does not have it'
    ],
    ['CrashLoopBackOff', 'A pod of ipv4 does not start: CrashLoopBackOff']
  ])('%s has a headline', (reason, headline) => {
    expect(fault(reason, gone).attribution.headline).toBe(headline);
  });

  test('a registry that does not answer is named with the cause', () => {
    expect(fault('ErrImagePull', 'EOF').attribution.headline).toBe(
      'The image registry.example/tcp-echo:1 cannot be pulled: the connection to registry.example broke'
    );
  });

  test.each<[string, string, ImageOwner | null, string, string]>([
    ['an input names', gone, {class: 'input', input: 'echo-image'}, 'input', '`echo-image`'],
    [
      'the Action names',
      gone,
      {class: 'infrastructure', input: null},
      'infrastructure',
      'Check the name and the tag'
    ],
    ['nobody knows', gone, null, 'istio', 'Check the name and the tag'],
    [
      'is at a retired registry',
      'dial tcp: lookup x: no such host',
      {class: 'infrastructure', input: null, retired: 'Istio retired x.'},
      'infrastructure',
      'Istio retired x.'
    ],
    [
      'a registry has a bad time with',
      'EOF',
      {class: 'input', input: 'x'},
      'infrastructure',
      'reach registry.example'
    ]
  ])('an image that %s', (_, message, owner, failureClass, hint) => {
    const [trouble] = findPodProblems([troubled('ErrImagePull', message)]);
    const asked: string[] = [];
    const ownerOf = (image: string) => {
      asked.push(image);
      return owner;
    };
    const {attribution} = createPodFault(trouble as never, {...who, findOwner: ownerOf});
    expect(attribution.class).toBe(failureClass);
    expect(attribution.hint).toContain(hint);
    expect(asked.every(image => image === 'registry.example/tcp-echo:1')).toBe(true);
  });

  test('no message is said as such', () => {
    expect(fault('CrashLoopBackOff', '').message).toBe(
      'Pod ipv4/tcp-echo-1: CrashLoopBackOff: no message'
    );
  });
});

describe('lookAtTrouble', () => {
  const crashing = troubled('CrashLoopBackOff', 'back-off');

  test('nothing is wrong', () =>
    expect(checkForPodProblems([pod('ipv4', 'tcp-echo')], who)).toBeNull());

  test('what may heal is bad', () => {
    expect(checkForPodProblems([crashing], who)).toMatchObject({
      is: 'bad',
      for: 'ipv4/tcp-echo-1 to recover from CrashLoopBackOff'
    });
  });

  test('what cannot heal is lost, and comes before what may', () => {
    expect(checkForPodProblems([crashing, troubled('ErrImagePull', gone)], who)).toMatchObject({
      is: 'lost',
      fault: {message: `Pod ipv4/tcp-echo-1: ErrImagePull: ${gone}`}
    });
  });
});

/** What the kubelet told of pulls from registries that failed so, each in the lab (Kubernetes 1.37, containerd 2.3): `npm run registries`. */
const pulls = JSON.parse(
  fs.readFileSync(path.join(import.meta.dirname, 'fixtures', 'pulls.json'), 'utf8')
) as Record<string, string>;

describe('a registry', () => {
  const look = (name: string) =>
    checkForPodProblems([troubled('ErrImagePull', pulls[name])], {
      ...who,
      findOwner: () => ({class: 'input', input: 'echo-image'})
    });

  test.each(['notfound', 'noname', 'denied', 'unauthorized'])(
    'that says %s ends the run at once: the input that names the image is at fault',
    name => {
      expect(look(name)).toMatchObject({is: 'lost', fault: {attribution: {class: 'input'}}});
    }
  );

  test.each([
    ...['ratelimit', 'busy', 'error', 'unavailable', 'eof', 'reset', 'hang', 'token'],
    ...['refused', 'tls', 'private']
  ])('that has a bad time (%s) is given some, and then at fault', name => {
    expect(look(name)).toMatchObject({
      is: 'bad',
      patience: 90,
      fault: {
        attribution: {
          class: 'infrastructure',
          headline: expect.stringMatching(/cannot be pulled: .*registry\.example/)
        }
      }
    });
  });

  test('that was retired gets one more try', () => {
    const owner = {class: 'infrastructure', input: null, retired: 'Istio retired it.'} as const;
    expect(
      checkForPodProblems([troubled('ErrImagePull', pulls.error)], {...who, findOwner: () => owner})
    ).toMatchObject({is: 'bad', patience: 20});
  });

  test('whose name nobody knows is not waited for so long', () => {
    const found = look('nohost');
    expect(found).toMatchObject({is: 'bad', fault: {attribution: {class: 'infrastructure'}}});
    expect(found).not.toHaveProperty('patience');
  });
});
