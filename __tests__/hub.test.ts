import {describe, expect, test} from '@jest/globals';
import {describeRetired, moveReleaseToHub, moveToHub} from '../src/versions/hub.ts';

describe('an image', () => {
  test.each<[string, string | null, string]>([
    ['registry.istio.io/release/pilot:1.30.3', 'docker.io/istio', 'docker.io/istio/pilot:1.30.3'],
    [
      'gcr.io/istio-release/proxyv2:1.28.3-distroless',
      'docker.io/istio',
      'docker.io/istio/proxyv2:1.28.3-distroless'
    ],
    [
      `registry.istio.io/release/pilot@sha256:${'0'.repeat(64)}`,
      'r.example/i',
      `r.example/i/pilot@sha256:${'0'.repeat(64)}`
    ],
    ['istio/pilot:1.31.0', 'localhost:5000/cache', 'localhost:5000/cache/pilot:1.31.0'],
    ['registry.istio.io/release/pilot:1.30.3', null, 'registry.istio.io/release/pilot:1.30.3'],
    [
      'gcr.io/istio-testing/pilot:1.32-alpha.527f8d6c',
      'docker.io/istio',
      'gcr.io/istio-testing/pilot:1.32-alpha.527f8d6c'
    ],
    ['quay.io/mine/pilot:1.30.3', 'r.example/i', 'quay.io/mine/pilot:1.30.3'],
    ['registry.istio.io/releases/pilot:1', 'docker.io/istio', 'registry.istio.io/releases/pilot:1']
  ])('%s with the hub %s is %s', (image, hub, moved) => expect(moveToHub(image, hub)).toBe(moved));
});

const unnamed = {istiod: '', proxy: '', cni: '', ztunnel: ''};

describe('the images of a version', () => {
  test('that the chart does not name have the names of a release', () => {
    expect(moveReleaseToHub({version: 'v1.25.2', ...unnamed}, 'docker.io/istio')).toEqual({
      version: 'v1.25.2',
      istiod: 'docker.io/istio/pilot:1.25.2',
      proxy: 'docker.io/istio/proxyv2:1.25.2',
      cni: 'docker.io/istio/install-cni:1.25.2',
      ztunnel: 'docker.io/istio/ztunnel:1.25.2'
    });
  });

  test.each<[string, string | null]>([
    ['v1.25.2', null],
    ['v1.32-alpha.527f8d6c', 'docker.io/istio']
  ])('%s with the hub %s stay unnamed', (version, hub) => {
    expect(moveReleaseToHub({version, ...unnamed}, hub)).toEqual({version, ...unnamed});
  });
});

test('a retired hub is named with what to do', () => {
  expect(describeRetired('gcr.io/istio-release/pilot:1.28.3')).toBe(
    'Istio retired gcr.io/istio-release in December 2026: leave `istio-hub` at docker.io/istio, set it to a mirror, or change the input that names this image.'
  );
  expect(describeRetired('docker.io/istio/pilot:1.28.3')).toBeNull();
});
