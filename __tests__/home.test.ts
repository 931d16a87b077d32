import * as fs from 'node:fs';
import * as path from 'node:path';
import {afterAll, expect, test} from '@jest/globals';
import {eachOnRunner} from './fake.ts';
import {hurry, read, rehearsed} from './hostile-places.ts';

afterAll(hurry(30)); // before what waits is imported
const {run} = await import('../src/run/run.ts');
const {selectDefinitions} = await import('../src/checks/catalogue.ts');
const {filterApplicable} = await import('../src/checks/skip-on-existing.ts');
const runner = eachOnRunner();

/** A home with these files; one of them is a directory where its text is null. */
function home(files: Record<string, string | null>): string {
  const directory = path.join(runner.directory, 'home');
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(directory, name);
    fs.mkdirSync(text === null ? file : path.dirname(file), {recursive: true});
    if (text !== null) fs.writeFileSync(file, text);
  }
  return directory;
}

test.each<[string, () => string]>([
  ['that is not there', () => path.join(runner.directory, 'nowhere')],
  ['that is a file', () => path.join(home({file: ''}), 'file')],
  ['that is not said', () => ''],
  ['where Docker’s configuration is none', () => home({'.docker/config.json': '{"proxies": ['})],
  [
    'where it is of odd types',
    () => home({'.docker/config.json': '{"proxies": {"a": null, "b": 5}}'})
  ],
  ['where it is a directory', () => home({'.docker/config.json': null})],
  ['where it is very large', () => home({'.docker/config.json': 'x'.repeat(5_000_000)})],
  [
    'with a kubeconfig and a Helm of somebody else’s',
    () => home({'.kube/config': 'clusters: 5', '.kube/kuberc': '{', '.config/helm': 'a file'})
  ]
])('a home %s changes nothing', async (_, made) => {
  const HOME = made();
  const before = fs.existsSync(HOME) ? fs.readdirSync(path.dirname(HOME), {recursive: true}) : [];
  const rows = filterApplicable({cluster: 'kind', 'operator-chart': null}, selectDefinitions(null));
  const result = await rehearsed(
    read('healthy'),
    {run, rows},
    ({files}) => /^result<<(.+)\n(.*)\n\1$(?![\s\S]*^result<<)/m.exec(files.OUTPUT)?.[2],
    {env: {HOME, DOCKER_CONFIG: ''}}
  );
  expect(result).toBe('passed');
  const after = fs.existsSync(HOME) ? fs.readdirSync(path.dirname(HOME), {recursive: true}) : [];
  expect(after).toEqual(before);
});
