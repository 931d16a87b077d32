import {describe, expect, test} from '@jest/globals';
import {
  classifyPullFailure,
  describePullFailure,
  isPermanentPullFailure,
  suggestPullFix
} from '../src/base/image-pull.ts';
import pulls from './fixtures/pulls.json' with {type: 'json'};

const image = 'docker.io/istio/pilot:1.30.3';

describe('a failed pull, as a node reported it', () => {
  test.each<[keyof typeof pulls, ReturnType<typeof classifyPullFailure>, boolean, string]>([
    ['busy', 'rate-limited', false, 'docker.io limits how many images this address may pull (429)'],
    [
      'ratelimit',
      'rate-limited',
      false,
      'docker.io limits how many images this address may pull (429)'
    ],
    ['nohost', 'name-not-resolved', false, 'the name docker.io cannot be resolved'],
    ['refused', 'no-connection', false, 'no connection to docker.io'],
    ['eof', 'connection-broken', false, 'the connection to docker.io broke'],
    ['reset', 'connection-broken', false, 'the connection to docker.io broke'],
    ['hang', 'timeout', false, 'docker.io did not respond in time'],
    ['noname', 'not-found', true, 'docker.io does not have it'],
    ['notfound', 'not-found', true, 'docker.io does not have it'],
    ['denied', 'denied', true, 'docker.io denies access to it (403)'],
    ['unauthorized', 'denied', true, 'docker.io denies access to it (401)'],
    ['token', 'denied', false, 'docker.io denies access to it (401)'],
    ['error', 'server-error', false, 'docker.io returned a server error (500)'],
    ['unavailable', 'server-error', false, 'docker.io returned a server error (503)'],
    ['tls', 'other', false, 'the pull from docker.io failed']
  ])('%s', (name, kind, final, words) => {
    expect(classifyPullFailure(pulls[name])).toBe(kind);
    expect(isPermanentPullFailure(pulls[name])).toBe(final);
    expect(describePullFailure(pulls[name], image)).toBe(words);
  });

  test.each([
    ['failed to resolve reference: unexpected status: 410 Gone', 'not-found'],
    ['unexpected status from HEAD request to https://r.example/v2/a: 404 Not Found', 'not-found'],
    ['dial tcp 192.0.2.1:443: i/o timeout', 'timeout'],
    ['image is not present with pull policy of Never', 'never-pulled'],
    ['size 1503 of 2500 bytes', 'other']
  ])('%s is %s', (message, kind) => expect(classifyPullFailure(message)).toBe(kind));
});

test.each([
  ['429 Too Many Requests', image, ['Run `docker login` before this step', '`istio-hub`']],
  ['429 Too Many Requests', 'quay.io/a/b:1', ['Run `docker login quay.io` before this step']],
  ['no such host', image, ['reach docker.io: its DNS, proxy and firewall', '`istio-hub`']],
  ['manifest unknown', image, ['Check the name and the tag.']],
  ['403 Forbidden', 'quay.io/a/b:1', ['`docker login quay.io`']]
])('what to do about %s', (message, name, parts) => {
  for (const part of parts) expect(suggestPullFix(message, name)).toContain(part);
});
