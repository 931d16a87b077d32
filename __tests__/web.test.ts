import {spawnSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {describe, expect, test} from '@jest/globals';
import type {MeshCheckInput} from '../src/checks/definition.ts';
import {plainClient} from '../src/checks/probe.ts';
import {fetchPages, formatHostPort, reproducePage, summarizeStatuses} from '../src/checks/web.ts';
import {eachOnRunner, fakePrograms, fakeSh, fakeWork} from './fake.ts';
import {planOf} from './planned.ts';

const runner = eachOnRunner();
const checking = (sh: MeshCheckInput['sh']): MeshCheckInput => ({
  sh,
  work: fakeWork(() => 12),
  plan: planOf(),
  nodes: 1,
  snapshot: [],
  preloaded: new Map(),
  report: () => {},
  mirror: null,
  undo: () => {}
});
const status = (observed: string) => ({at: 12, seconds: 0.1, observed});

test.each([
  ['192.0.2.1', '192.0.2.1:80'],
  ['2001:db8::1', '[2001:db8::1]:80']
])('a URL has %s as %s', (address, expected) => expect(formatHostPort(address, 80)).toBe(expected));

test.each([
  [[], 'no answer'],
  [['200', '200', '200'], '200'],
  [['200', 'no answer', '200'], '200, no answer']
])('%j is told as %s', (observed, expected) =>
  expect(summarizeStatuses(observed.map(status))).toBe(expected)
);

describe('askPages', () => {
  test('tells each page its own answers, whatever their order', async () => {
    const sh = fakeSh(() => '1 403 0.004512\n0 000 0.000205\n1 403 0.003000\n');
    expect(await fetchPages(checking(sh), plainClient, [{url: 'http://a/'}, {url: 'b'}])).toEqual([
      [{at: 12, seconds: 0.000205, observed: 'no answer'}],
      [
        {at: 12, seconds: 0.004512, observed: '403'},
        {at: 12, seconds: 0.003, observed: '403'}
      ]
    ]);
  });

  test('without pages nobody is asked', async () => {
    expect(await fetchPages(checking(fakeSh({})), plainClient, [])).toEqual([]);
  });

  test('a client that cannot be asked is not an answer', async () => {
    const sh = fakeSh(() => ({code: 1, stderr: 'no pod'}));
    await expect(fetchPages(checking(sh), plainClient, [{url: 'http://a/'}])).rejects.toThrow(
      'no pod'
    );
  });

  test('its script asks curl three times for each page, and connects where it is told to', async () => {
    const log = path.join(runner.directory, 'curl.log');
    const env = fakePrograms(runner.directory, {
      curl: [`echo "$*" >>${log}`, `printf '%s' '200 0.004512'`]
    });
    let line: string[] = [];
    const sh = fakeSh(command => {
      line = command;
      return '0 200 0.004512\n1 200 0.004512\n';
    });
    const pages = [
      {url: 'http://[2001:db8::20]:9014/'},
      {url: 'https://one.example.test:8443/', via: '[2001:db8::1]:8443'}
    ];
    await fetchPages(checking(sh), plainClient, pages);
    const [, script = '', ...words] = line.slice(line.indexOf('-c'));
    const {stdout} = spawnSync('sh', ['-c', script, ...words], {env});
    expect(`${stdout}`.trim().split('\n').sort()).toEqual(
      [0, 0, 0, 1, 1, 1].map(row => `${row} 200 0.004512`)
    );
    const said = fs.readFileSync(log, 'utf8').trim().split('\n');
    expect([...new Set(said)].sort()).toEqual([
      '-sk -o /dev/null -m 3 -w %{http_code} %{time_total} --connect-to ::[2001:db8::1]:8443 https://one.example.test:8443/',
      '-sk -o /dev/null -m 3 -w %{http_code} %{time_total} http://[2001:db8::20]:9014/'
    ]);
  });

  test('by hand', () => {
    const tls = {url: 'https://one.example.test:8443/', via: '192.0.2.1:8443'};
    expect(reproducePage(plainClient, tls)).toBe(
      `kubectl exec -n plain deploy/sleep -c sleep -- sh -c 'curl -sk -o /dev/null -m 3 -w "%{http_code}\\n" --connect-to ::192.0.2.1:8443 https://one.example.test:8443/'`
    );
    const literal = {url: 'http://[fd00:10:96::6b2b]:8080/'};
    expect(reproducePage(plainClient, literal, 'fd00:10:96::6b2b', 'kubectl get service')).toBe(
      `kubectl exec -n plain deploy/sleep -c sleep -- sh -c 'curl -sk -o /dev/null -m 3 -w "%{http_code}\\n" "http://[$0]:8080/"' "$(kubectl get service)"`
    );
  });
});
