import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import * as path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {parseAllDocuments} from 'yaml';
import {provideChart, separateCrds} from '../src/phases/fetch-chart.ts';
import {
  chartDigests,
  chartIndex,
  defaultOperatorVersion,
  getChartUrl
} from '../src/versions/pins.ts';
import {readChart} from '../src/versions/read-chart.ts';
import {eachOnRunner, type FakeSh, fakeSh, fakeWork} from './fake.ts';
import {chart, inputsOf, published} from './planned.ts';

const runner = eachOnRunner();
const about = 'apiVersion: v2\nname: sail-operator\nversion: 1.30.3\nappVersion: "1.30.3"\n';
const values = `
image: registry.example/sail-operator:1.30.3
deployment:
  annotations:
    kubectl.kubernetes.io/default-container: sail-operator
    images.v1_30_3.ztunnel: registry.example/ztunnel:1.30.3
    images.v1_30_3.istiod: registry.example/pilot:1.30.3
    images.v1_30_3.proxy: registry.example/proxyv2:1.30.3
    images.v1_30_3.cni: registry.example/install-cni:1.30.3
    images.v1_29_6.istiod: registry.example/pilot:1.29.6
    images.v1_29_6.proxy: registry.example/proxyv2:1.29.6
    images.v1_29_6.cni: registry.example/install-cni:1.29.6
    images.v1_29_6.ztunnel: registry.example/ztunnel:1.29.6
    images.v1_31-alpha_abc.istiod: registry.example/pilot:1.31-alpha.abc
`;
const crds = 'kind: CustomResourceDefinition\n';
const sumOf = (version: string) => createHash('sha256').update(version).digest('hex');

/** helm and sha256sum, for any chart; a chart of a release has the digest in `digests`. */
const helm = (digests: Record<string, string> = chartDigests): FakeSh =>
  fakeSh(([program, verb, what, file]) => {
    if (program === 'sha256sum') {
      const [, version = ''] = /sail-operator-(.+)\.tgz$/.exec(verb ?? '') ?? [];
      return `${digests[version] ?? sumOf('other')}  ${verb}\n`;
    }
    if (program === 'curl') return '';
    return what === 'chart' ? about : what === 'crds' ? crds : file ? values : undefined;
  });

describe('readChart', () => {
  test('knows version, image and what can be installed, in its order', () => {
    expect(readChart(about, values)).toEqual({
      name: 'sail-operator',
      version: '1.30.3',
      image: 'registry.example/sail-operator:1.30.3',
      pullPolicy: null,
      istioReleases: [
        chart.istioReleases[0],
        chart.istioReleases[2],
        {
          version: 'v1.31-alpha.abc',
          istiod: 'registry.example/pilot:1.31-alpha.abc',
          proxy: '',
          cni: '',
          ztunnel: ''
        }
      ],
      aliases: {},
      endOfLife: []
    });
  });

  test.each([
    ['nothing', ''],
    ['no annotations', 'deployment: {}'],
    ['other annotations', 'deployment: {annotations: {images.v1_0_0.other: x, a: b}}']
  ])('values with %s list no versions', (_, text) => {
    expect(readChart(about, text)).toMatchObject({image: null, istioReleases: []});
  });
});

describe('provideChart', () => {
  test('pulls the pinned release and holds it to its digest, without asking the index', async () => {
    const sh = helm();
    const found = await provideChart(inputsOf(), runner.directory, fakeWork(), sh);
    expect(found).toMatchObject({
      path: path.join(runner.directory, `sail-operator-${defaultOperatorVersion}.tgz`),
      url: getChartUrl(defaultOperatorVersion),
      version: '1.30.3'
    });
    expect(sh.calls[0]).toMatch(/^curl .* --proto-redir =https /);
    expect(
      sh.calls[0]?.endsWith(` --output ${found.path} ${getChartUrl(defaultOperatorVersion)}`)
    ).toBe(true);
    expect(sh.calls[1]).toBe(`sha256sum ${found.path}`);
  });

  test('refuses a release whose digest is another', async () => {
    await expect(
      provideChart(inputsOf(), runner.directory, fakeWork(), helm({}))
    ).rejects.toMatchObject({
      attribution: {class: 'infrastructure'},
      message: expect.stringMatching(/has the wrong checksum/)
    });
  });

  test('takes a directory as it is', async () => {
    fs.mkdirSync(path.join(runner.directory, 'chart'));
    const sh = helm();
    const found = await provideChart(
      inputsOf({'operator-chart': 'chart'}),
      runner.directory,
      fakeWork(),
      sh
    );
    const directory = path.join(runner.directory, 'chart');
    const crds = path.join(runner.directory, 'sail-operator', 'crds');
    expect(found).toMatchObject({path: directory, url: null, crds});
    expect(sh.calls.sort()).toEqual([
      `helm show chart ${directory}`,
      `helm show crds ${directory}`,
      `helm show values ${directory}`
    ]);
  });

  test('a chart in a checkout goes by the versions.yaml of that checkout', async () => {
    const checkout = path.join(runner.directory, 'pkg', 'istioversion');
    fs.mkdirSync(path.join(runner.directory, 'chart'));
    fs.mkdirSync(checkout, {recursive: true});
    fs.writeFileSync(path.join(checkout, 'versions.yaml'), published.main?.versions ?? '');
    const chart = await provideChart(
      inputsOf({'operator-chart': 'chart'}),
      runner.directory,
      fakeWork(),
      helm()
    );
    expect(chart.istioReleases[0]?.version).toBe('v1.31.0-beta.1');
    expect(chart.aliases.master).toBe('v1.32.0-alpha.527f8d6c');
  });

  test('a chart without a list goes by its CRD', async () => {
    fs.mkdirSync(path.join(runner.directory, 'chart'));
    const {about, values, crd} = published['1.26.2'] ?? {};
    const sh = fakeSh(([, , what]) =>
      what === 'chart' ? about : what === 'crds' ? `---\n${crd}` : values
    );
    const inputs = inputsOf({'operator-chart': 'chart'});
    const chart = await provideChart(inputs, runner.directory, fakeWork(), sh);
    expect(chart.istioReleases[0]?.version).toBe('v1.26.2');
    expect(chart.endOfLife).toContain('v1.23.6');
  });

  test('a link in a checkout to other versions is not followed out of it', async () => {
    const checkout = path.join(runner.directory, 'workspace');
    process.env.GITHUB_WORKSPACE = checkout;
    fs.mkdirSync(path.join(checkout, 'chart'), {recursive: true});
    fs.mkdirSync(path.join(checkout, 'pkg', 'istioversion'), {recursive: true});
    fs.writeFileSync(path.join(runner.directory, 'host.yaml'), published.main?.versions ?? '');
    fs.symlinkSync(
      path.join(runner.directory, 'host.yaml'),
      path.join(checkout, 'pkg', 'istioversion', 'versions.yaml')
    );
    const chart = await provideChart(
      inputsOf({'operator-chart': 'chart'}),
      runner.directory,
      fakeWork(),
      helm()
    );
    expect(chart.istioReleases[0]?.version).toBe('v1.30.3');
  });

  test('the CRDs are what Helm shows, in a directory of ours: no archive is unpacked', async () => {
    const planted = path.join(runner.directory, 'sail-operator', 'crds');
    fs.mkdirSync(planted, {recursive: true});
    fs.writeFileSync(path.join(runner.directory, 'victim'), 'whole');
    fs.symlinkSync(path.join(runner.directory, 'victim'), path.join(planted, 'crds.yaml'));
    const sh = helm();
    const found = await provideChart(inputsOf(), runner.directory, fakeWork(), sh);
    expect(fs.readFileSync(path.join(found.crds, 'crds.yaml'), 'utf8')).toBe(crds);
    expect(fs.readFileSync(path.join(runner.directory, 'victim'), 'utf8')).toBe('whole');
    expect(sh.calls.filter(line => line.startsWith('tar '))).toEqual([]);
  });

  test.each([
    ['no version', 'name: sail-operator', values],
    ['a number for a version', 'name: sail-operator\nversion: 1.2', values],
    ['a date for one', 'name: sail-operator\nversion: 2026-01-01', values],
    ['no name', 'version: 1.2.3', values],
    ['a list', '[]', values],
    ['nothing', '', values],
    ['no YAML', 'a: b: c', values],
    ['an undefined alias', 'name: *x', values],
    ['a number for an image', about, 'image: 5'],
    ['a mapping for an image', about, 'image: {a: b}'],
    ['a bomb of aliases', about, `a: &a x\n${'b: *a\n'.repeat(200)}`]
  ])('a chart with %s is a bad input', async (_, first, second) => {
    fs.mkdirSync(path.join(runner.directory, 'chart'));
    const sh = fakeSh(([, , what]) => (what === 'chart' ? first : what === 'values' ? second : ''));
    const chart = {'operator-chart': 'chart'};
    await expect(
      provideChart(inputsOf(chart), runner.directory, fakeWork(), sh)
    ).rejects.toMatchObject({
      attribution: {class: 'input'},
      message: expect.stringMatching(/^Invalid `operator-chart` "/)
    });
  });

  test.each(['annotations: 5', 'annotations: [a]', 'annotations: {images.v1_0_0.istiod: {a: b}}'])(
    'values with odd %s offer nothing',
    text => expect(readChart(about, `deployment: {${text}}`).istioReleases).toEqual([])
  );

  test('takes a URL, which is held to the digest that it ends with', async () => {
    const url = 'https://charts.example/pr/sail-operator-9.9.9.tgz';
    const provide = (sum: string) =>
      provideChart(
        inputsOf({'operator-chart': `${url}#sha256:${sum}`}),
        runner.directory,
        fakeWork(),
        helm({})
      );
    expect(await provide(sumOf('other'))).toMatchObject({url});
    await expect(provide(sumOf('x'))).rejects.toThrow(/has the wrong checksum/);
  });

  test('takes a URL, which has no digest to be held to', async () => {
    const url = 'https://charts.example/pr/sail-operator-9.9.9.tgz';
    const found = await provideChart(
      inputsOf({'operator-chart': url}),
      runner.directory,
      fakeWork(),
      helm({})
    );
    expect(found).toMatchObject({
      path: path.join(runner.directory, 'sail-operator-9.9.9.tgz'),
      url
    });
  });

  test.each([
    ['(22) The requested URL returned error: 503', 3],
    ['(6) Could not resolve host: charts.example', 3],
    ['(22) The requested URL returned error: 404', 1],
    ['(1) Protocol "http" disabled in libcurl or follow redirects', 1]
  ])(
    'a chart that cannot be fetched is the fault of the infrastructure: %s, %i tries',
    async (said, tries) => {
      const sh = fakeSh(() => ({code: 1, stderr: `curl: ${said}\n`}));
      await expect(
        provideChart(inputsOf(), runner.directory, fakeWork(), sh)
      ).rejects.toMatchObject({
        attribution: {class: 'infrastructure', layer: 'runner'},
        message: `the chart ${getChartUrl(defaultOperatorVersion)} could not be downloaded: curl: ${said}`
      });
      expect(sh.calls).toHaveLength(tries);
    },
    20_000
  );

  test.each([
    ['as its size was told', {code: 63, stderr: 'curl: (63) Maximum file size exceeded\n'}],
    ['as it came', {code: 153}]
  ])(
    'what is larger than any chart is not read to its end, and told so once: %s',
    async (_, answer) => {
      const asked: unknown[] = [];
      const sh = fakeSh(() => answer);
      const provided = provideChart(
        inputsOf(),
        runner.directory,
        fakeWork(),
        (command, options) => {
          asked.push(options?.file);
          return sh(command, options);
        }
      );
      await expect(provided).rejects.toMatchObject({
        attribution: {class: 'infrastructure', layer: 'runner'},
        message: expect.stringMatching(
          /could not be downloaded: it has more than 50000000 bytes, too many for a chart/
        )
      });
      expect(asked).toEqual([100_000_000]);
    }
  );

  test('a fetch that is tried again is shown, without what is secret in it', async () => {
    const passes = helm();
    let turn = 0;
    const sh = fakeSh(command =>
      command[0] === 'curl' && turn++ === 0
        ? {code: 56, stderr: 'curl: (56) of https://me:hunter2@x.example: Connection reset by peer'}
        : undefined
    );
    const work = fakeWork();
    await provideChart(inputsOf(), runner.directory, work, async (command, options) =>
      turn === 0 && command[0] === 'curl' ? sh(command, options) : passes(command, options)
    );
    expect(work.waits.filter(Boolean)).toEqual([
      'a retry of the chart download, after: curl: (56) of https://x.example: Connection reset by peer'
    ]);
  }, 20_000);

  test('what is given and is no chart is a bad input', async () => {
    fs.mkdirSync(path.join(runner.directory, 'chart'));
    const sh = fakeSh(() => ({code: 1, stderr: 'Error: Chart.yaml file is missing'}));
    await expect(
      provideChart(inputsOf({'operator-chart': 'chart'}), runner.directory, fakeWork(), sh)
    ).rejects.toMatchObject({attribution: {class: 'input'}});
  });
});

describe('a minor of the operator, by a mirror', () => {
  let server: Server;
  let mirror: string;
  let index: string;
  beforeEach(async () => {
    const releases = ['1.30.9', '1.30.10', '1.29.2', '1.30.11-rc.1'];
    index = JSON.stringify({
      entries: {'sail-operator': releases.map(version => ({version, digest: sumOf(version)}))}
    });
    server = createServer(({url}, response) => {
      if (url === `/${chartIndex.replace('https://', '')}` && index) response.end(index);
      else response.writeHead(404).end();
    });
    await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
    mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => new Promise(closed => server.close(closed)));

  const provide = (
    version: string,
    digests: Record<string, string> = Object.fromEntries(
      ['1.30.10', '1.30.9', '1.29.2'].map(one => [one, sumOf(one)])
    ),
    given = mirror
  ) => {
    const sh = helm(digests);
    return provideChart(
      inputsOf({mirror: given, 'operator-version': version}),
      runner.directory,
      fakeWork(),
      sh
    ).then(chart => ({
      ...chart,
      pulled: sh.calls[0]
    }));
  };

  test.each([
    ['1.30', '1.30.10'],
    ['1.30.9', '1.30.9']
  ])(
    '%s is %s, from the mirror, held to the digest of the index where we have none',
    async (asked, version) => {
      const {url, pulled} = await provide(asked);
      expect(url).toBe(getChartUrl(version));
      expect(pulled?.endsWith(` ${mirror}/${getChartUrl(version).replace('https://', '')}`)).toBe(
        true
      );
    }
  );

  test('what we know is held to what we know, whatever the index of a mirror says', async () => {
    await expect(provide('1.29')).rejects.toThrow(
      `has the wrong checksum: SHA-256 ${sumOf('1.29.2')} instead of ${chartDigests['1.29.2']}`
    );
    expect((await provide('1.29', undefined, `${mirror}#own-checksums`)).url).toBe(
      getChartUrl('1.29.2')
    );
  });

  test.each([
    ['a page of a proxy', '<html><body>Sign in</body></html>'],
    ['what is no YAML', 'a: b: c'],
    ['what hangs a parser', '? '.repeat(600)],
    ['a list', '[]'],
    ['another shape', '{"entries": {"sail-operator": {"version": "1.30.9"}}}']
  ])(
    '%s is no index: it goes by what it carries',
    async (_, text) => {
      index = text;
      const {url} = await provide('1.29', chartDigests);
      expect(url).toBe(getChartUrl('1.29.2'));
      expect(runner.log()).toMatch(/is not an index of charts; using the releases known/);
    },
    20_000
  );

  test.each([null, 5, '', 'abc', [[sumOf('x')]]])(
    'a release with the digest %j is none',
    async digest => {
      const releases = [{version: '1.40.0', digest}, null, 'x', {version: {}, digest: sumOf('x')}];
      index = JSON.stringify({entries: {'sail-operator': releases}});
      await expect(provide('1.40')).rejects.toMatchObject({attribution: {class: 'input'}});
    }
  );

  test('a release that differs from the index is refused', async () => {
    await expect(provide('1.30', {'1.30.10': sumOf('x'), '1.29.2': ''})).rejects.toThrow(
      /has the wrong checksum/
    );
  });

  test.each(['1.30.1', '1.22'])('%s is refused, with what there is', async asked => {
    await expect(provide(asked)).rejects.toMatchObject({
      attribution: {class: 'input'},
      message: `Invalid \`operator-version\` "${asked}": expected a published version, such as 1.30.10, 1.29.2`
    });
  });

  test('without the index goes by what it carries, and says so', async () => {
    index = '';
    const {url} = await provide('1.29', chartDigests);
    expect(url).toBe(getChartUrl('1.29.2'));
    expect(runner.log()).toMatch(/index\.yaml could not be downloaded.*using the releases known/);
  });
});

test.each(Object.entries(chartDigests))('the digest of chart %s is whole', (version, digest) => {
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
});

test.each([
  ['nothing', 'apiVersion: v1\nkind: A\napiVersion: v1\nkind: B\n'],
  ['a separator', '---\napiVersion: v1\nkind: A\n---\napiVersion: v1\nkind: B\n'],
  ['one here and there', 'apiVersion: v1\nkind: A\n\n---\napiVersion: v1\nkind: B\n']
])('CRDs that Helm shows with %s between them are all there', (_, shown) => {
  const kinds = parseAllDocuments(separateCrds(shown)).map(document => document.get('kind'));
  expect(kinds).toEqual(['A', 'B']);
});
