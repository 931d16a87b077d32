import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import {installCommand, installOperator} from '../src/phases/operator.ts';
import {fakeSh} from './fake.ts';
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
    ]
  ])('is installed %s', (_, inputs, more) => {
    const command = installCommand(planOf(inputs));
    expect(command.slice(0, 7)).toEqual([
      ...['helm', 'install', 'sail-operator', chart.path],
      ...['--namespace', 'sail-operator', '--create-namespace']
    ]);
    expect(command.slice(7).filter(word => word !== '--skip-crds')).toEqual(more);
  });

  test('is not waited for', async () => {
    const sh = fakeSh(() => '');
    await installOperator(planOf(), sh);
    expect(sh.calls.join(' ')).not.toContain('--wait');
  });

  test('a chart that is refused is the fault of the operator', async () => {
    const sh = fakeSh(() => ({
      code: 1,
      stderr: 'Error: INSTALLATION FAILED: values don’t meet the schema\n'
    }));
    await expect(installOperator(planOf(), sh)).rejects.toMatchObject({
      because: {
        class: 'operator',
        layer: 'operator',
        reproduce: installCommand(planOf()).join(' ')
      },
      message: expect.stringContaining('INSTALLATION FAILED: values don’t meet the schema')
    });
  });
});
