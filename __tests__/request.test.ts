import {spawnSync} from 'node:child_process';
import {describe, expect, test} from '@jest/globals';
import type {Sh} from '../src/base/sh.ts';
import {meshClient, plainClient} from '../src/checks/probe.ts';
import {buildUrl, parseResponses, reproduceRequest, sendRequests} from '../src/checks/request.ts';
import {eachOnRunner, fakePrograms, fakeSh, fakeWork} from './fake.ts';

const runner = eachOnRunner();

describe('parseResponses', () => {
  test('reads status, headers, metrics and times, and puts them into the time of the run', () => {
    const text = [
      '0 5836.35 5836.46 0 HTTP/1.1 403 Forbidden|content-length: 19|server: envoy||',
      '1 5835.89 5835.98 416 HTTP/1.1 200 OK|Content-Type: text/plain; version=0.0.4|Transfer-Encoding: chunked||',
      '2 5836.58 5836.60 0 ',
      ''
    ].join('\n');
    expect(parseResponses(text, 100)).toEqual([
      {
        row: 0,
        status: 403,
        headers: {'content-length': '19', server: 'envoy'},
        metrics: 0,
        at: 99.75,
        seconds: 0.11
      },
      {
        row: 1,
        status: 200,
        headers: {'content-type': 'text/plain; version=0.0.4', 'transfer-encoding': 'chunked'},
        metrics: 416,
        at: 99.29,
        seconds: 0.09
      },
      {row: 2, status: null, headers: {}, metrics: 0, at: 99.98, seconds: 0.02}
    ]);
  });

  test.each(['', 'sh: curl: not found\n', '0 1.00\n'])('%j holds no response', text =>
    expect(parseResponses(text, 1)).toEqual([])
  );
});

describe('request', () => {
  test('gives the responses by URL, as often as there was one', async () => {
    const sh = fakeSh(() =>
      [
        '1 5837.02 5837.03 0 HTTP/1.1 200 OK||',
        '0 5837.02 5837.03 0 ',
        '1 5837.03 5837.07 0 HTTP/1.1 503 Service Unavailable||'
      ].join('\n')
    );
    const said = await sendRequests(
      {sh, work: fakeWork()},
      plainClient,
      ['http://a', 'http://b'],
      2,
      3
    );
    expect(said.map(responses => responses.map(({status}) => status))).toEqual([
      [null],
      [200, 503]
    ]);
    expect(sh.calls[0]).toMatch(/^kubectl exec --namespace plain deployment\/sleep /);
    expect(sh.calls[0]).toMatch(/ request 3 2 http:\/\/a http:\/\/b$/);
  });

  test('an answer that was cut off is the command’s failure', async () => {
    const sh = fakeSh(() => ({code: 137, stdout: '0 5837.02 5837.03 0 HTTP/1.1 200 OK||\n'}));
    await expect(
      sendRequests({sh, work: fakeWork()}, plainClient, ['http://a', 'http://b'], 1, 3)
    ).rejects.toThrow('137');
  });
});

describe('the script in the client', () => {
  /** What it prints, with a curl of our own. */
  async function run(curl: string[], times: number, ...urls: string[]): Promise<string> {
    let printed = '';
    const sh: Sh = async command => {
      const [program = '', ...rest] = command.slice(command.indexOf('sh'));
      const env = fakePrograms(runner.directory, {curl});
      printed = spawnSync(program, rest, {env, encoding: 'utf8'}).stdout;
      return {code: 0, stdout: printed, stderr: '', timedOut: false};
    };
    await sendRequests({sh, work: fakeWork()}, meshClient, urls, times, 1);
    return printed;
  }

  test('takes every turn, counts the metrics of Envoy, and puts the head on one line', async () => {
    const curl = [
      `while [ $# -gt 0 ]; do [ "$1" = --output ] && file=$2; url=$1; shift; done`,
      `printf 'envoy_a 1\\nistio_b 2\\nenvoy_c 3\\n' >$file`,
      `printf 'HTTP/1.1 200 OK\\r\\nx-url: %s\\r\\n\\r\\n' "$url"`
    ];
    const stdout = await run(curl, 2, 'http://[fd00::1]:80/', 'http://a');
    const found = parseResponses(stdout, 10);
    expect(found.map(({row}) => row).sort()).toEqual([0, 0, 1, 1]);
    for (const {row, status, headers, metrics} of found)
      expect({status, headers, metrics}).toEqual({
        status: 200,
        headers: {'x-url': row === 0 ? 'http://[fd00::1]:80/' : 'http://a'},
        metrics: 2
      });
  });

  test('takes no other turn after one without an answer', async () => {
    const stdout = await run(['exit 7'], 5, 'http://a');
    expect(parseResponses(stdout, 10).map(({status}) => status)).toEqual([null]);
  });
});

test.each([
  ['web.http', 8080, undefined, 'http://web.http:8080/'],
  ['10.96.0.6', 15020, '/stats/prometheus', 'http://10.96.0.6:15020/stats/prometheus'],
  ['fd00:10:96::6', 8080, '/others', 'http://[fd00:10:96::6]:8080/others']
])('the URL of %s port %d', (host, port, path, url) =>
  expect(buildUrl(host, port, path)).toBe(url)
);

describe('reproduceRequest', () => {
  test('by name', () => {
    expect(reproduceRequest(meshClient, 'http://web.http:8080/')).toBe(
      "kubectl exec -n sleep deploy/sleep -c sleep -- sh -c 'curl -gsi -m 3 http://web.http:8080/'"
    );
  });

  test('an address is looked up, for it is another one in the next cluster', () => {
    const lookUp = "kubectl get service web -n http -o jsonpath='{.spec.clusterIPs[1]}'";
    expect(
      reproduceRequest(meshClient, 'http://[fd00:10:96::c247]:8080/', 'fd00:10:96::c247', lookUp)
    ).toBe(
      `kubectl exec -n sleep deploy/sleep -c sleep -- sh -c 'curl -gsi -m 3 "http://[$0]:8080/"' "$(${lookUp})"`
    );
  });
});
