import {describe, expect, test} from '@jest/globals';
import type {Deployment, Pod} from '../src/base/kube.ts';
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
      because: {class: 'operator', layer: 'operator'},
      message: 'Pod sail-operator/sail-operator-1: ErrImagePull: manifest unknown'
    });
  });
});
