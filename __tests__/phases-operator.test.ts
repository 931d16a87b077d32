import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {
  buildCreateCrdsCommand,
  buildInstallOperatorCommand,
  createCrds,
  installOperator
} from '../src/phases/install-operator.ts';
import {fakeSh, fakeWork} from './fake.ts';
import {chart, planOf} from './planned.ts';

describe('the operator', () => {
  test.each<[string, Record<string, string>, string[]]>([
    ['as it is', {}, []],
    [
      'with values',
      {'operator-values': 'a: 1'},
      ['--values', path.join('/work', 'operator-values.yaml')]
    ],
    [
      'with an image, which wins over the values',
      {'operator-values': 'a: 1', 'operator-image': 'localhost:5000/sail:pr-1'},
      [
        ...['--values', path.join('/work', 'operator-values.yaml')],
        ...['--set-string', 'image=localhost:5000/sail:pr-1']
      ]
    ],
    [
      'with an image without a tag, which is not to be pulled over',
      {'operator-image': 'localhost/sail'},
      ['--set-string', 'image=localhost/sail', '--set-string', 'imagePullPolicy=IfNotPresent']
    ],
    [
      'with an image of the tag latest, and values that say when it is pulled',
      {'operator-values': 'imagePullPolicy: Always', 'operator-image': 'localhost/sail:latest'},
      [
        ...['--values', path.join('/work', 'operator-values.yaml')],
        ...['--set-string', 'image=localhost/sail:latest']
      ]
    ]
  ])('is installed %s', (_, inputs, more) => {
    const command = buildInstallOperatorCommand(planOf(inputs));
    expect(command.slice(0, 7)).toEqual([
      ...['helm', 'install', 'sail-operator', chart.path],
      ...['--namespace', 'sail-operator', '--create-namespace']
    ]);
    expect(command.slice(7).filter(word => word !== '--skip-crds')).toEqual(more);
  });

  test.each([
    ['Always', 'IfNotPresent'],
    ['Never', null],
    ['IfNotPresent', null],
    [null, null]
  ])('of a chart that says %s is pulled %s', (pullPolicy, expected) => {
    expect(planOf({}, {pullPolicy}).operator.pullPolicy).toBe(expected);
  });

  test('is not waited for', async () => {
    const sh = fakeSh(() => '');
    await installOperator(planOf(), fakeWork(), sh);
    expect(sh.calls.join(' ')).not.toContain('--wait');
  });

  test.each([
    {code: 124, timedOut: true},
    {code: 1, stderr: 'Error: INSTALLATION FAILED: etcdserver: request timed out'}
  ])(
    'an API server that is too slow is not the operator’s fault, and is not asked twice: %j',
    async answer => {
      const sh = fakeSh(() => answer);
      await expect(installOperator(planOf(), fakeWork(), sh)).rejects.toMatchObject({
        attribution: {
          class: 'infrastructure',
          layer: 'node',
          headline: 'The cluster responds too slowly'
        }
      });
      expect(sh.calls).toHaveLength(1);
    }
  );

  test('a chart that is refused is the fault of the operator', async () => {
    const sh = fakeSh(() => ({
      code: 1,
      stderr: 'Error: INSTALLATION FAILED: values don’t meet the schema\n'
    }));
    await expect(installOperator(planOf(), fakeWork(), sh)).rejects.toMatchObject({
      attribution: {
        class: 'operator',
        layer: 'operator',
        reproduce: buildInstallOperatorCommand(planOf()).join(' ')
      },
      message: expect.stringContaining('INSTALLATION FAILED: values don’t meet the schema')
    });
  });

  const early = {
    code: 1,
    stderr:
      'Error: INSTALLATION FAILED: unable to build kubernetes objects from release manifest: no matches for kind "Istio" in version "sailoperator.io/v1"'
  };

  test('a chart that makes use of its CRDs is installed once they are there', async () => {
    const sh = fakeSh({[buildInstallOperatorCommand(planOf()).join(' ')]: [early, early, '']});
    const work = fakeWork();
    await installOperator(planOf(), work, sh);
    expect(work.waits).toEqual(["the chart's CRDs", "the chart's CRDs", null]);
  });

  test('and refused when it goes on asking for others', async () => {
    let now = 0;
    const work = fakeWork(() => (now += 60));
    await expect(
      installOperator(
        planOf(),
        work,
        fakeSh(() => early)
      )
    ).rejects.toThrow('no matches for kind');
  });

  test('CRDs that are refused are the fault of the operator', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'error: the server is unable to handle them'}));
    await expect(createCrds(planOf(), sh)).rejects.toMatchObject({
      attribution: {
        class: 'operator',
        layer: 'operator',
        reproduce: buildCreateCrdsCommand(planOf()).join(' ')
      },
      message: expect.stringContaining('unable to handle')
    });
  });
});
