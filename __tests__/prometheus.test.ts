import {describe, expect, test} from '@jest/globals';
import {stringify} from 'yaml';
import type {Pod, Thing} from '../src/base/kube.ts';
import {health} from '../src/checks/health.ts';
import {type Labels, labelsOf, relabel} from '../src/checks/prometheus.ts';
import {type Answer, fakeSh} from './fake.ts';
import {both, failures, healthyBut, isOf, look, pod} from './things.ts';

const port = '__meta_kubernetes_pod_annotation_prometheus_io_port';
const common = [
  {
    action: 'keep',
    regex: true,
    source_labels: ['__meta_kubernetes_pod_annotation_prometheus_io_scrape']
  },
  {
    action: 'drop',
    regex: true,
    source_labels: ['__meta_kubernetes_pod_annotation_prometheus_io_scrape_slow']
  },
  {
    action: 'replace',
    regex: '(.+)',
    source_labels: ['__meta_kubernetes_pod_annotation_prometheus_io_path'],
    target_label: '__metrics_path__'
  },
  {action: 'labelmap', regex: '__meta_kubernetes_pod_label_(.+)'},
  {
    action: 'drop',
    regex: 'Pending|Succeeded|Failed|Completed',
    source_labels: ['__meta_kubernetes_pod_phase']
  }
];

// what the samples of these releases have for addresses
const of1303 = [
  ...common,
  {
    action: 'replace',
    regex: '(\\d+);(([A-Fa-f0-9]{1,4}::?){1,7}[A-Fa-f0-9]{1,4})',
    replacement: '[$2]:$1',
    source_labels: [port, '__meta_kubernetes_pod_ip'],
    target_label: '__address__'
  },
  {
    action: 'replace',
    regex: '(\\d+);((([0-9]+?)(\\.|$)){4})',
    replacement: '$2:$1',
    source_labels: [port, '__meta_kubernetes_pod_ip'],
    target_label: '__address__'
  }
];
const of1178 = [
  ...common,
  {
    action: 'replace',
    regex: '([^:]+)(?::\\d+)?;(\\d+)',
    replacement: '$1:$2',
    source_labels: ['__address__', port],
    target_label: '__address__'
  }
];

const sample = (rules: unknown[], job = 'kubernetes-pods'): string =>
  [
    {kind: 'ServiceAccount', metadata: {name: 'prometheus'}},
    {
      kind: 'ConfigMap',
      metadata: {name: 'prometheus'},
      data: {
        'prometheus.yml': stringify({scrape_configs: [{job_name: job, relabel_configs: rules}]})
      }
    }
  ]
    .map(document => stringify(document))
    .join('---\n');

/** The server, with the annotations that the injection gives it. */
function scraped(more: Record<string, string> = {}): Pod {
  const made = pod('dual-stack', 'tcp-echo', {ips: both('6')});
  made.metadata.annotations = {
    'prometheus.io/scrape': 'true',
    'prometheus.io/port': '15020',
    'prometheus.io/path': '/stats/prometheus',
    ...more
  };
  made.spec.containers = [
    {name: 'tcp-echo', image: 'echo', ports: [{containerPort: 9000}, {containerPort: 9001}]}
  ];
  return made;
}
const asked = health.rows.filter(({target}) => target === 'prometheus');
const things = (own = scraped()): Thing[] => healthyBut(isOf('Pod', 'dual-stack'), own);

/** curl on the runner, and the client: metrics are at port 15020 alone. */
async function found(fetched: Answer, own = scraped(), mirror: string | null = null) {
  const sh = fakeSh(command =>
    command[0] === 'curl'
      ? fetched
      : command
          .filter(word => word.startsWith('http://'))
          .map((url, at) => {
            const has = /:15020\/stats\/prometheus$/.test(url);
            return `${at} 1.00 1.02 ${has ? '416 HTTP/1.1 200 OK||' : '0 '}\n`;
          })
          .join('')
  );
  return {found: await look(health, {sh, asked, things: things(own), mirror}), calls: sh.calls};
}

describe("Prometheus, as Istio's sample configures it", () => {
  test('finds metrics at each address of the pod', async () => {
    const {found: all, calls} = await found(sample(of1303));
    expect(failures(all)).toEqual({});
    expect(Object.values(all).map(({verdict}) => verdict)).toEqual(['passed', 'passed']);
    expect(calls).toHaveLength(2);
    expect(calls[0]).toMatch(
      / https:\/\/raw\.githubusercontent\.com\/istio\/istio\/1\.30\.3\/samples\/addons\/prometheus\.yaml$/
    );
    expect(calls[1]?.match(/http:\S+/g)).toEqual([
      'http://10.244.0.6:15020/stats/prometheus',
      'http://[fd00:10:244::6]:15020/stats/prometheus'
    ]);
  });

  test('comes from a mirror, where there is one', async () => {
    const {calls} = await found(sample(of1303), scraped(), 'https://mirror.example/all');
    expect(calls[0]).toContain(' https://mirror.example/all/raw.githubusercontent.com/istio/');
  });

  test('asks another port over IPv6 by the sample of Istio 1.17', async () => {
    const {found: all} = await found(sample(of1178));
    expect(failures(all)).toEqual({'health/prometheus/ipv6': 'no answer'});
    expect(all['health/prometheus/ipv6']?.reason).toBe(
      'http://[fd00:10:244::6]:9000/stats/prometheus gave no answer'
    );
  });

  test.each<[string, unknown[], string]>([
    [
      'no brackets',
      [
        {
          regex: '(.*);(.*)',
          replacement: '$2:$1',
          source_labels: [port, '__meta_kubernetes_pod_ip'],
          target_label: '__address__'
        }
      ],
      'no address of the pod: http://fd00:10:244::6:15020/metrics'
    ],
    [
      'another host',
      [{replacement: 'elsewhere.example:80', target_label: '__address__'}],
      'no address of the pod: http://elsewhere.example:80/metrics'
    ],
    [
      'a scheme that reads files',
      [{replacement: 'file', target_label: '__scheme__'}],
      'no address of the pod: file://[fd00:10:244::6]:9000/metrics'
    ],
    [
      'nothing',
      [{action: 'drop', source_labels: ['__meta_kubernetes_pod_ip'], regex: '.*:.*'}],
      'the pod is not scraped'
    ]
  ])('%s is red, and is not asked', async (_, rules, observed) => {
    const {found: all, calls} = await found(sample(rules));
    expect(all['health/prometheus/ipv6']).toMatchObject({verdict: 'failed', observed});
    expect(calls.slice(1).join()).not.toContain('fd00:10:244::6');
  });

  test('a pod without an address of one family', async () => {
    const own = scraped();
    own.status.podIPs = [{ip: '10.244.0.6'}];
    const {found: all} = await found(sample(of1303), own);
    expect(failures(all)).toEqual({'health/prometheus/ipv6': 'no pod IP'});
  });

  test.each<[string, Answer, Pod, RegExp]>([
    [
      'the file cannot be fetched',
      {code: 22, stderr: 'curl: (22) 404'},
      scraped(),
      /could not be fetched: curl: \(22\) 404$/
    ],
    ['it is a page', '<html><a b=">', scraped(), /has no job `kubernetes-pods`$/],
    ['it is no YAML', 'a: [', scraped(), /cannot be read: /],
    ['it has no such job', sample(of1303, 'another'), scraped(), /has no job `kubernetes-pods`$/],
    [
      'it has an action that is not known here',
      sample([{action: 'hashmod'}]),
      scraped(),
      /cannot be read: an action `hashmod`$/
    ],
    [
      'it has an expression of RE2 alone',
      sample([{regex: '(?P<a>.)'}]),
      scraped(),
      /cannot be read: Invalid regular expression/
    ],
    [
      'an expression takes for ever',
      sample([{regex: '(a|a)*b', replacement: '', source_labels: [port]}]),
      scraped({'prometheus.io/port': 'a'.repeat(60)}),
      /cannot be read: it takes more than 5 s/
    ],
    [
      'pods are not to be scraped',
      '',
      scraped({'prometheus.io/scrape': 'false'}),
      /enablePrometheusMerge/
    ],
    [
      'its aliases multiply',
      `data: {a: &a [x, x], b: &b [${Array(40).fill('*a')}], c: &c [${Array(40).fill('*b')}], 'prometheus.yml': *c}`,
      scraped(),
      /has no job `kubernetes-pods`$/
    ]
  ])(
    'is skipped, with the reason, where %s',
    async (_, fetched, own, reason) => {
      const {found: all} = await found(fetched, own);
      for (const finding of Object.values(all)) {
        expect(finding.verdict).toBe('skipped');
        expect(finding.reason).toMatch(reason);
      }
      expect(Object.keys(all)).toHaveLength(2);
    },
    30_000
  );
});

describe('relabelling', () => {
  const labels = {a: 'one', b: 'two', __meta_x: 'x'};

  // by Prometheus' documentation of <relabel_config>
  test.each<[string, unknown, Labels | null]>([
    [
      'joins by a semicolon, and takes all of it',
      {source_labels: ['a', 'b'], target_label: 'c'},
      {...labels, c: 'one;two'}
    ],
    [
      'joins by what it is told',
      {source_labels: ['a', 'b'], separator: '-', target_label: 'c'},
      {...labels, c: 'one-two'}
    ],
    [
      'a label that is not there is empty',
      {source_labels: ['none', 'a'], target_label: 'c'},
      {...labels, c: ';one'}
    ],
    [
      'matches the whole of a value',
      {source_labels: ['a'], regex: 'on', target_label: 'c'},
      labels
    ],
    [
      'groups, with braces too',
      {
        source_labels: ['a', 'b'],
        regex: '(\\w+);(\\w+)',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: Go reads it
        replacement: '${2}x-$1',
        target_label: 'c'
      },
      {...labels, c: 'twox-one'}
    ],
    [
      'a group that is not there is empty',
      {source_labels: ['a'], regex: '.*', replacement: 'x$1', target_label: 'c'},
      {...labels, c: 'x'}
    ],
    ['keep', {action: 'keep', source_labels: ['a'], regex: 'two'}, null],
    ['keep what matches', {action: 'keep', source_labels: ['a'], regex: 'one'}, labels],
    ['drop', {action: 'drop', source_labels: ['a'], regex: 'o.e'}, null],
    ['drop nothing else', {action: 'drop', source_labels: ['a'], regex: 'o'}, labels],
    ['labelmap', {action: 'labelmap', regex: '__meta_(.+)'}, {...labels, x: 'x'}]
  ])('%s', (_, rule, expected) => {
    expect(relabel(labels, [rule])).toEqual(expected);
  });

  test.each<[string, (at: number) => object, RegExp]>([
    [
      'values',
      () => ({source_labels: ['a'], replacement: '$1$1', target_label: 'a'}),
      /10000 characters/
    ],
    ['labels', at => ({action: 'labelmap', replacement: `of${at}_$1`}), /1000 labels/]
  ])('%s that double with each rule come to an end', (_, rule, said) => {
    const rules = Array.from({length: 60}, (_, at) => rule(at));
    expect(() => relabel(labels, rules)).toThrow(said);
  });

  test('one rule after the other, until the target is dropped', () => {
    const rules = [
      {replacement: 'new', target_label: 'a'},
      {action: 'drop', source_labels: ['a'], regex: 'new'},
      {action: 'never'}
    ];
    expect(relabel(labels, rules)).toBeNull();
  });

  test("a pod's metadata, as Prometheus has it", () => {
    expect(labelsOf(scraped(), 'fd00:10:244::6')).toMatchObject({
      __address__: '[fd00:10:244::6]:9000',
      __meta_kubernetes_pod_ip: 'fd00:10:244::6',
      __meta_kubernetes_pod_annotation_prometheus_io_port: '15020',
      __meta_kubernetes_pod_label_app: 'tcp-echo',
      __meta_kubernetes_pod_phase: 'Running'
    });
  });
});
