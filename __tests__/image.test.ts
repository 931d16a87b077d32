import {describe, expect, test} from '@jest/globals';
import {hasLatestTag, normalizeImageName, parseImage} from '../src/base/image.ts';

const digest = `sha256:${'0'.repeat(64)}`;

describe('the name of an image', () => {
  test.each([
    ['curl', 'docker.io/library/curl:latest', true],
    ['curlimages/curl:8.16.0', 'docker.io/curlimages/curl:8.16.0', false],
    ['docker.io/curlimages/curl', 'docker.io/curlimages/curl:latest', true],
    ['localhost/sail-operator:pr', 'localhost/sail-operator:pr', false],
    ['localhost:5000/sail', 'localhost:5000/sail:latest', true],
    ['localhost:5000/sail:latest', 'localhost:5000/sail:latest', true],
    [`quay.io/a/b@${digest}`, `quay.io/a/b@${digest}`, false],
    [`quay.io/a/b:latest@${digest}`, `quay.io/a/b@${digest}`, false]
  ])('%s is %s', (name, whole, latest) => {
    expect(normalizeImageName(name)).toBe(whole);
    expect(hasLatestTag(name)).toBe(latest);
  });

  test('has parts', () => {
    expect(parseImage(`quay.io/a/b:1@${digest}`)).toEqual({
      registry: 'quay.io',
      repository: 'a/b',
      tag: '1',
      digest
    });
  });
});
