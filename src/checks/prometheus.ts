import {bounded} from '../base/bounded.ts';
import {addressFamily, ipsOfPod, ofKind, type Pod} from '../base/kube.ts';
import {readDocuments, readYaml} from '../base/yaml.ts';
import {families, familyNames} from '../results/results.ts';
import {lookUp} from './echo.ts';
import {plainClient} from './probe.ts';
import {fetchPublished} from './published.ts';
import {answerOf, attemptsOf, reproduceRequest, request, withMetrics} from './request.ts';
import {type Checking, compare, type Finding, type Row, row, skip} from './row.ts';
import {host} from './web.ts';

const pod = {kind: 'Pod', namespace: 'dual-stack', name: 'tcp-echo'};
const from = {kind: 'Deployment', namespace: plainClient.namespace, name: plainClient.deployment};

/** The job of Istio's sample configuration that finds pods. */
const jobName = 'kubernetes-pods';

/** What Prometheus makes of a pod's addresses, by the configuration of Istio's sample. */
export const prometheusRows: Row[] = families.map(family =>
  row(
    'health',
    `health/prometheus/${family}`,
    `Prometheus, as Istio's sample configures it, finds metrics at the pod's ${family} address`,
    withMetrics,
    {
      family,
      from,
      to: pod,
      blame: {
        hint: `The job \`${jobName}\` of samples/addons/prometheus.yaml makes no address that can be dialled of the pod's ${familyNames[family]} one: see its rules for \`__address__\` (istio/istio#35915).`,
        headline: `Prometheus does not scrape pods over ${familyNames[family]}`
      }
    }
  )
);

// ---- Relabelling ----

/** What Prometheus knows of a target, by the names that it has for it. */
export type Labels = Record<string, string>;

/** Rules that Prometheus may read and that are not read here. */
class Unread extends Error {}

// rules can double what they find, again and again; of a pod there are some dozens of labels
const most = 1000;
const longest = 10_000;

type Fields = Record<string, unknown>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/**
 * What `relabel_configs` make of a target; null: it is dropped. Regular expressions match the whole of a value.
 * Source: Prometheus' documentation of <relabel_config>. Throws where a rule is none of those that are known here.
 */
export function relabel(labels: Labels, rules: unknown[]): Labels | null {
  let made = labels;
  for (const rule of rules) {
    const next = applied(made, fieldsOf(rule));
    if (next === null) return null;
    if (Object.keys(next).length > most) throw new Unread(`more than ${most} labels`);
    made = next;
  }
  return made;
}

function applied(labels: Labels, rule: Fields): Labels | null {
  const {action = 'replace', regex = '(.*)', separator = ';', replacement = '$1'} = rule;
  const whole = new RegExp(`^(?:${regex})$`, 's');
  const value = listOf(rule.source_labels)
    .map(name => labels[`${name}`] ?? '')
    .join(`${separator}`);
  const match = whole.exec(value);
  switch (action) {
    case 'keep':
      return match ? labels : null;
    case 'drop':
      return match ? null : labels;
    case 'replace':
      return match
        ? {
            ...labels,
            [expanded(`${rule.target_label}`, match)]: expanded(`${replacement}`, match)
          }
        : labels;
    case 'labelmap':
      return Object.fromEntries([
        ...Object.entries(labels),
        ...Object.entries(labels).flatMap(([name, text]) => {
          const named = whole.exec(name);
          return named ? [[expanded(`${replacement}`, named), text]] : [];
        })
      ]);
    default:
      throw new Unread(`an action \`${action}\``);
  }
}

/** `$1` and `${1}`, as Go has them. */
function expanded(text: string, match: RegExpExecArray): string {
  const made = text.replace(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (_, braced, bare) => match[Number(braced ?? bare)] ?? ''
  );
  if (made.length > longest) throw new Unread(`a value of more than ${longest} characters`);
  return made;
}

const asLabel = (name: string): string => name.replace(/\W/g, '_');

/** A pod as Prometheus finds it by the API server, had it this address alone. */
export function labelsOf({metadata, spec, status}: Pod, ip: string): Labels {
  const {namespace, name, annotations = {}, labels = {}} = metadata;
  const port = spec.containers.flatMap(({ports = []}) => ports)[0]?.containerPort;
  const named = (kind: string, values: Labels) =>
    Object.entries(values).map(([name, value]) => [
      `__meta_kubernetes_pod_${kind}_${asLabel(name)}`,
      value
    ]);
  return {
    __address__: port === undefined ? ip : host(ip, port),
    __scheme__: 'http',
    __metrics_path__: '/metrics',
    __meta_kubernetes_namespace: namespace,
    __meta_kubernetes_pod_name: name,
    __meta_kubernetes_pod_ip: ip,
    __meta_kubernetes_pod_phase: status.phase,
    __meta_kubernetes_pod_node_name: spec.nodeName ?? '',
    ...Object.fromEntries([...named('annotation', annotations), ...named('label', labels)])
  };
}

/** The rules of the job, in the sample's ConfigMap; null: it has none. Throws YamlError. */
function rulesIn(text: string): unknown[] | null {
  const configuration = readDocuments(text)
    .map(document => document.getIn(['data', 'prometheus.yml']))
    .find(found => typeof found === 'string');
  const jobs = listOf(fieldsOf(readYaml(`${configuration ?? ''}`)).scrape_configs);
  const job = jobs.map(fieldsOf).find(({job_name: name}) => name === jobName);
  return job ? listOf(job.relabel_configs) : null;
}

// ---- Scraping ----

/** Tells whether what Prometheus would ask is answered. */
export async function scrape(checking: Checking, asked: Row[]): Promise<void> {
  if (asked.length === 0) return;
  const all = (finding: Finding) => {
    for (const {id} of asked) checking.tell(id, finding);
  };
  const [own] = ofKind(checking.things, 'Pod', pod.namespace).filter(
    ({metadata}) => metadata.labels?.app === pod.name
  );
  if (own?.metadata.annotations?.['prometheus.io/scrape'] !== 'true')
    return all(skip('the pod is not to be scraped (`meshConfig.enablePrometheusMerge`)'));
  const fetched = await fetchPublished(checking, 'prometheus');
  if ('verdict' in fetched) return all(fetched);
  try {
    const rules = rulesIn(fetched.text);
    if (rules === null) return all(skip(`${fetched.url} has no job \`${jobName}\``));
    const targets = asked.map(row => targetOf(row, own, rules));
    await askTargets(checking, targets);
  } catch (error) {
    if (!isUnread(error)) throw error;
    all(skip(`${fetched.url} cannot be read: ${error.message.slice(0, 200)}`));
  }
}

/** Of text that came from elsewhere, what is no bug of ours: YAML, rules and expressions that are others than JavaScript's. */
const isUnread = (error: unknown): error is Error =>
  error instanceof Unread ||
  (error instanceof Error && /^(YamlError|TooSlow|SyntaxError)$/.test(error.name));

interface Target {
  row: Row;
  ip: string | undefined;
  /** What Prometheus asks; null: it does not ask the pod. */
  url: string | null;
}

function targetOf(row: Row, own: Pod, rules: unknown[]): Target {
  const ip = ipsOfPod(own).find(one => addressFamily(one) === row.family);
  if (ip === undefined) return {row, ip, url: null};
  const made = bounded(() => relabel(labelsOf(own, ip), rules));
  return {
    row,
    ip,
    url: made && `${made.__scheme__}://${made.__address__}${made.__metrics_path__}`
  };
}

/** Whether a URL is dialled at this address. */
const leadsTo = (url: string, ip: string): boolean =>
  /^https?:\/\//.test(url) &&
  URL.canParse(url) &&
  new URL(url).hostname === new URL(`http://${host(ip, 80)}`).hostname;

async function askTargets(checking: Checking, targets: Target[]): Promise<void> {
  const dialled: {row: Row; ip: string; url: string}[] = [];
  for (const {row, ip, url} of targets) {
    if (ip !== undefined && url !== null && leadsTo(url, ip)) dialled.push({row, ip, url});
    else
      checking.tell(
        row.id,
        compare(
          row.expected,
          ip === undefined
            ? 'no pod IP'
            : url === null
              ? 'the pod is not scraped'
              : `no address of the pod: ${url.slice(0, 200)}`,
          {address: ip ?? null}
        )
      );
  }
  if (dialled.length === 0) return;
  const urls = dialled.map(({url}) => url);
  const said = await request(checking, plainClient, urls, 1, checking.plan.probes.seconds);
  for (const [at, {row, ip, url}] of dialled.entries()) {
    const responses = said[at] ?? [];
    const observed = responses.map(answerOf).at(-1) ?? 'no answer';
    checking.tell(
      row.id,
      compare(row.expected, observed, {
        address: ip,
        attempts: attemptsOf(responses, answerOf),
        reason: observed === row.expected ? null : `${url} gave ${observed}`,
        reproduce: reproduceRequest(plainClient, url, ip, lookUp(checking, row.to, ip))
      })
    );
  }
}
