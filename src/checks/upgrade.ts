import {listObjects, type ObjectMeta} from '../base/kube.ts';
import {runOrThrow} from '../base/sh.ts';
import {pollForAtMost} from '../base/wait.ts';
import {clientSample} from '../manifests/documented-samples.ts';
import {type Family, families, type Load} from '../results/results.ts';
import {
  type CheckDefinition,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  type Outcome,
  skip
} from './definition.ts';
import {describeMissingAddress, findClusterIp} from './echo.ts';
import {
  buildMarkCommand,
  buildStartCommand,
  buildStopCommand,
  buildWaitCommand,
  endLoad,
  type LoadLog,
  type LoadTarget,
  measure,
  probeInterval
} from './load-probe.ts';
import {pathSample} from './path.ts';
import {meshClient} from './probe.ts';
import {buildMetricsCommand} from './xds.ts';

/** While only istiod is replaced, which carries no traffic; and while the server is restarted, as was asked for. */
type Span = 'istiod' | 'restart';

/** The longest time without an answer, in seconds; and of restarts, for how long in all probes may fail. Measured was 1.7 at most, on a machine that was very busy. */
const limit = 5;

/** How long to go on once istiod is replaced, in seconds: a listener that it changed is drained for 45, Istio's drainDuration, and then its connections are cut. */
const draining = 50;

/** How long the operator may take to remove a revision that nobody uses, in seconds; it waits 30 by itself. */
const removing = 90;

const ids = {proxies: 'upgrade/proxies/version', revisions: 'upgrade/istio/revisions'};
const newProxies = 'every proxy is of the new version';

const buildCheckId = (span: Span, family: Family, connections: Load['connections']): string =>
  `upgrade/${span}/${family}-${connections}`;

const under = (
  span: Span,
  family: Family,
  connections: Load['connections'],
  title: string,
  expected: string
): CheckDefinition =>
  defineCheck('upgrade', buildCheckId(span, family, connections), title, expected, {
    family,
    from: {kind: 'Deployment', namespace: clientSample.namespace, name: clientSample.app},
    to: {kind: 'Service', namespace: 'dual-stack', name: `tcp-echo-${family}`}
  });

/** The load is on while istiod is replaced and the server restarted; the rest is asked once every workload is. */
export const upgrade: LayerChecks<MeshCheckInput> = {
  layer: 'upgrade',
  attribution: {
    class: 'connectivity',
    hint: "Traffic was lost while the mesh was upgraded: the table of the upgrade says when; see the logs of the proxies, of istiod, and the node's rules in diagnostics/.",
    headline: family => `Traffic${family && ` over ${family}`} is lost during the upgrade`
  },
  samples: [pathSample],
  definitions: [
    ...families.flatMap(family => [
      under(
        'istiod',
        family,
        'new',
        `While istiod is upgraded, every new connection over ${family} is answered`,
        `0 failed, no gap over ${limit} s`
      ),
      under(
        'istiod',
        family,
        'held',
        `While istiod is upgraded, a connection that is held over ${family} stays, and is answered`,
        `0 failed, never cut, no gap over ${limit} s`
      ),
      under(
        'restart',
        family,
        'new',
        `While the server is restarted, new connections over ${family} are answered`,
        `answered again within ${limit} s`
      ),
      under(
        'restart',
        family,
        'held',
        `A connection over ${family} that a restart cuts can be opened again at once`,
        `answered again within ${limit} s`
      )
    ]),
    defineCheck(
      'upgrade',
      ids.proxies,
      'Every proxy is of the new version, once restarted',
      newProxies,
      {
        to: {kind: 'Deployment', namespace: 'istio-system', name: 'istiod'},
        attribution: {
          class: 'istio',
          hint: 'A pod was restarted and got its sidecar from the old istiod, or was not restarted at all: see `kubectl get pods -A -o yaml`, and which revision its namespace or the tag names.',
          headline: 'Proxies are still of the old version after the upgrade'
        }
      }
    ),
    defineCheck(
      'upgrade',
      ids.revisions,
      'The old revision is removed once nobody uses it',
      'the new revision alone',
      {
        to: {kind: 'Istio', namespace: '', name: 'default'},
        attribution: {
          class: 'operator',
          hint: "The operator keeps a revision that it takes for used: see `kubectl get istiorevisions -o yaml`, and the operator's log.",
          headline: 'The old revision of Istio is not removed'
        }
      }
    )
  ],
  run: async (input, selected) => {
    await Promise.all(
      selected.map(async ({id}) => {
        if (id === ids.proxies) input.report(id, await versions(input));
        if (id === ids.revisions) input.report(id, await revisions(input));
      })
    );
  }
};

// ---- Under load ----

/** A load that is on. */
export interface RunningLoad {
  /** Notes that a span begins. */
  begin: (span: Span) => Promise<void>;
  /** Goes on until what the new istiod changed can have cut connections. */
  drain: () => Promise<void>;
  /** Ends it, and tells what it has seen. */
  end: () => Promise<void>;
}

const noLoad: RunningLoad = {begin: async () => {}, drain: async () => {}, end: async () => {}};

/** Has the client ask all the while from now on, over each family that a check asks for. */
export async function startLoad(
  input: MeshCheckInput,
  selected: CheckDefinition[]
): Promise<RunningLoad> {
  const {sh, plan, undo, report} = input;
  const {seconds} = plan.probes;
  const targets = listLoadTargets(input, selected);
  const definitions = selected.filter(({family}) =>
    targets.some(target => target.family === family)
  );
  if (targets.length === 0) return noLoad;
  undo([buildStopCommand(meshClient, seconds)]);
  await runOrThrow(sh, buildStartCommand(meshClient, targets, seconds), {seconds: 30});
  return {
    begin: async span => {
      await runOrThrow(sh, buildMarkCommand(meshClient, span), {seconds: 20});
    },
    drain: async () => {
      await runOrThrow(sh, buildWaitCommand(meshClient, draining), {seconds: draining + 30});
    },
    end: async () => {
      const log = await endLoad(meshClient, seconds, sh);
      undo([]);
      for (const {id, outcome} of judge(log, definitions)) report(id, outcome);
    }
  };
}

/** The Services of one family that select the dual-stack pods, on the port where only mutual TLS is answered. */
function listLoadTargets(input: MeshCheckInput, selected: CheckDefinition[]): LoadTarget[] {
  return families.flatMap(family => {
    const definitions = selected.filter(check => check.family === family);
    const address = findClusterIp(input, 'dual-stack', `tcp-echo-${family}`, family);
    if (address !== undefined) return definitions.length > 0 ? [{family, address, port: 9001}] : [];
    for (const one of definitions) input.report(one.id, describeMissingAddress(one));
    return [];
  });
}

/** What a load has seen → a finding for each of its rows. Pure. */
export const judge = (
  log: LoadLog,
  definitions: CheckDefinition[]
): {id: string; outcome: Outcome}[] =>
  definitions.flatMap(({id, family}) => {
    const span: Span = id.startsWith('upgrade/istiod/') ? 'istiod' : 'restart';
    const connections: Load['connections'] = id.endsWith('-held') ? 'held' : 'new';
    const {istiod, restart, end = 0} = log.marks;
    const [from, until] = span === 'istiod' ? [istiod, restart ?? end] : [restart, end];
    if (family === null) return [];
    if (from === undefined)
      return [{id, outcome: skip('the upgrade had failed before it was restarted')}];
    return [{id, outcome: judgeLoad(span, measure(log, family, connections, from, until))}];
  });

function judgeLoad(span: Span, load: Load): Outcome {
  const {connections, sent, failed, cut, longestGap} = load;
  const observed = loadWords(load);
  const wrong = [
    sent === 0 && 'the client could send nothing',
    span === 'istiod' && failed > 0 && `${failed} of ${sent} probes were not answered`,
    span === 'istiod' && cut > 0 && `the connection was cut ${times(cut)}`,
    span === 'restart' &&
      failed * probeInterval > limit &&
      `${failed} of ${sent} probes were not answered`,
    longestGap > 1000 * limit && `nothing was answered for ${longestGap} ms`
  ].filter(one => one !== false);
  const what = connections === 'new' ? 'new connections' : 'the connection that was held';
  return {
    observed,
    verdict: wrong.length === 0 ? 'passed' : 'failed',
    reason: wrong.length === 0 ? null : `of ${what}, ${wrong.join(', and ')}`,
    load
  };
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);

const loadWords = ({connections, sent, failed, cut, longestGap}: Load): string =>
  [
    `${sent} probe${sent === 1 ? '' : 's'}`,
    `${failed} failed`,
    ...(connections === 'held' ? [`cut ${cut === 0 ? 'never' : times(cut)}`] : []),
    `longest gap ${longestGap} ms`
  ].join(', ');

// ---- Once every workload is restarted ----

/** istiod counts the proxies that are connected to it, by their versions. */
async function versions({plan, sh}: MeshCheckInput): Promise<Outcome> {
  const command = buildMetricsCommand(plan.istio);
  const found = parseProxyVersions(await runOrThrow(sh, command, {seconds: 20}));
  const [, wanted = ''] = /^v?(\d+\.\d+\.\d+)/.exec(plan.istio.expected ?? '') ?? [];
  const others = found.filter(({version}) => version !== wanted);
  const observed =
    found.length === 0
      ? 'no proxy is connected'
      : others.map(({version, proxies}) => `${proxies} of ${version}`).join(', ') || newProxies;
  return compare(newProxies, observed, {reproduce: command.join(' ')});
}

/** `pilot_xds{version="1.30.3"} 12`, with the version as the proxies say it. */
export const parseProxyVersions = (metrics: string): {version: string; proxies: number}[] =>
  [...metrics.matchAll(/^pilot_xds\{version="([^"]*)"\} (\S+)$/gm)]
    .map(([, version = '', proxies]) => ({version, proxies: Number(proxies)}))
    .filter(({proxies}) => proxies > 0);

async function revisions({plan, sh, work}: MeshCheckInput): Promise<Outcome> {
  if (plan.upgrade?.strategy !== 'RevisionBased')
    return skip('the mesh was upgraded in place: there is one revision');
  const {revisions} = plan.upgrade;
  const names = await pollForAtMost(
    work,
    {seconds: removing, for: () => `the operator to remove ${revisions[0]}`, every: 1},
    async () => {
      const found = await listObjects<{metadata: ObjectMeta}>(sh, 'istiorevisions.sailoperator.io');
      return found.map(({metadata}) => metadata.name);
    },
    names => !names.includes(revisions[0])
  );
  return compare(
    'the new revision alone',
    names.length === 1 && names[0] === revisions[1] ? 'the new revision alone' : names.join(', '),
    {reproduce: 'kubectl get istiorevisions -o yaml'}
  );
}

/** Which checks are made before an upgrade, and which after it: what is there before the mesh is asked once. */
export function splitByStage(
  definitions: CheckDefinition[],
  upgrade: boolean
): {before: CheckDefinition[]; after: CheckDefinition[]} {
  const selected = upgrade ? definitions : definitions.filter(({layer}) => layer !== 'upgrade');
  const once = ['runner', 'network', 'node', 'docs'];
  const last = ['upgrade', 'uninstall'];
  return {
    before: upgrade ? selected.filter(({layer}) => !last.includes(layer)) : selected,
    after: upgrade ? selected.filter(({layer}) => !once.includes(layer)) : []
  };
}
