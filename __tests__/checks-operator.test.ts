import {describe, expect, test} from '@jest/globals';
import type {Deployment, Pod} from '../src/base/kube.ts';
import type {Sh} from '../src/base/sh.ts';
import {operator} from '../src/checks/operator.ts';
import {fakeSh, fakeWork} from './fake.ts';
import {chart, planOf} from './planned.ts';
import {failures, look, pod, waiting} from './things.ts';

const deployment = (image: string, availableReplicas = 1): Deployment => ({
  kind: 'Deployment',
  metadata: {name: 'sail-operator', namespace: 'sail-operator'},
  spec: {replicas: 1, template: {spec: {containers: [{name: 'sail-operator', image}]}}},
  status: {availableReplicas}
});
/** A cluster that says these, one after the other. */
function api(...said: (Deployment | Pod)[][]) {
  let turn = 0;
  return fakeSh(([, verb]) =>
    verb === 'wait' ? '' : JSON.stringify({items: said[Math.min(turn++, said.length - 1)]})
  );
}
const image = chart.image ?? '';

describe('operator', () => {
  test('holds when it is available and runs the image of the chart', async () => {
    const found = await look(operator, {sh: api([deployment(image)])});
    expect(failures(found)).toEqual({});
    expect(found['operator/sail-operator/image']?.observed).toBe(image);
  });

  test('runs another image than the one asked for', async () => {
    const plan = planOf({'operator-image': 'localhost:5000/sail:pr-1'});
    expect(failures(await look(operator, {sh: api([deployment(image)]), plan}))).toEqual({
      'operator/sail-operator/image': image
    });
  });

  const id = 'operator/sail-operator/image-id';
  const [ours, theirs] = ['sha256:1', 'sha256:2'];
  const pulledBy = 'registry.example/sail-operator@sha256:3';
  /** The operator's pod, with the id of its image as the kubelet tells it. */
  function running(imageID: string, named = image): Pod {
    const found = pod('sail-operator', 'sail-operator', {
      statuses: [{name: 'sail-operator', imageID, ready: true, restartCount: 0}]
    });
    const containers = [{name: 'sail-operator', image: named}];
    return {...found, spec: {nodeName: 'istio-ds-worker', containers}};
  }
  const lookAtId = async (pods: Pod[], preloaded: [string, string][], node = '', named = image) => {
    const cluster = api([deployment(named), ...pods]);
    const sh = fakeSh(command => {
      if (command[0] !== 'docker') return undefined as never;
      expect(command.slice(0, 5)).toEqual([
        'docker',
        'exec',
        'istio-ds-worker',
        'crictl',
        'inspecti'
      ]);
      return node;
    });
    const both: Sh = (command, options) =>
      command[0] === 'docker' ? sh(command, options) : cluster(command, options);
    const plan = planOf({}, {image: named});
    return (await look(operator, {sh: both, plan, preloaded: new Map(preloaded)}))[id];
  };

  test.each([
    ['the id of what this run brought', running(ours), ''],
    [
      'the digest of a pull, where the node says that it is the same',
      running(pulledBy),
      `${ours} []`
    ]
  ])('runs that very image: %s', async (_, pod, node) => {
    expect(await lookAtId([pod], [[image, ours]], node)).toMatchObject({
      verdict: 'passed',
      observed: ours
    });
  });

  test.each([
    ['given to another image in the node', running(theirs), '', 'in the node'],
    ['pulled over', running(pulledBy), `sha256:4 [${pulledBy}]`, 'imagePullPolicy'],
    ['and the kubelet tells of none', running(''), '', 'in the node']
  ])('runs another image under that tag: %s', async (_, pod, node, hint) => {
    const found = await lookAtId([pod], [[image, ours]], node);
    expect(found).toMatchObject({
      verdict: 'failed',
      attribution: {
        headline: `A container runs another image under the name ${image}`,
        hint: expect.stringContaining(hint)
      },
      reproduce: expect.stringContaining('kubectl get pods -n sail-operator -o jsonpath')
    });
    expect(found?.reason).toContain(`instead of ${ours}, which this run preloaded as ${image}`);
    expect(found?.attribution).not.toHaveProperty('class'); // the operator's, as its layer says
  });

  test('one of two pods that runs another image is seen', async () => {
    const found = await lookAtId([running(ours), running(theirs)], [[image, ours]]);
    expect(found?.verdict).toBe('failed');
  });

  test('the names of an image that mean the same are the same', async () => {
    const found = await lookAtId(
      [running(ours, 'x/sail')],
      [['docker.io/x/sail:latest', ours]],
      '',
      'x/sail'
    );
    expect(found?.verdict).toBe('passed');
  });

  test('an image that was asked for by its digest is known by that', async () => {
    const [asked, moved] = ['3', '5'].map(
      digit => `registry.example/sail-operator@sha256:${digit.repeat(64)}`
    ) as [string, string];
    expect((await lookAtId([running(asked, asked)], [], '', asked))?.verdict).toBe('passed');
    const other = await lookAtId([running(moved, asked)], [], `sha256:6 [${moved}]`, asked);
    expect(other?.verdict).toBe('failed');
  });

  test('an image that the nodes pulled by its tag has nothing to be compared with', async () => {
    const found = await lookAtId([running(pulledBy)], []);
    expect(found).toMatchObject({verdict: 'skipped', observed: pulledBy});
  });

  test('a chart that names no image has nothing to compare', async () => {
    const found = await look(operator, {
      sh: api([deployment('x')]),
      plan: planOf({}, {image: null})
    });
    expect(found['operator/sail-operator/image']).toMatchObject({verdict: 'skipped'});
  });

  test('is waited for', async () => {
    const work = fakeWork();
    const found = await look(operator, {sh: api([], [deployment(image)]), work});
    expect(failures(found)).toEqual({});
    expect(work.waits).toEqual(['the operator to be available', null]);
  });

  test('an image that is not there ends the wait at once', async () => {
    const stuck = pod('sail-operator', 'sail-operator', {
      ready: false,
      statuses: [waiting('sail-operator', 'ErrImagePull', 'manifest unknown')]
    });
    await expect(look(operator, {sh: api([deployment(image, 0), stuck])})).rejects.toMatchObject({
      attribution: {class: 'operator', layer: 'operator'},
      message: 'Pod sail-operator/sail-operator-1: ErrImagePull: manifest unknown'
    });
  });
});
