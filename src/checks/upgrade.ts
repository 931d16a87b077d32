/** Checks of an upgrade of the mesh: lost traffic, versions of proxies, removed revisions. */
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

/** `istiod`: only istiod is replaced, which carries no traffic. `restart`: the server restarts as requested. */
type Span = 'istiod' | 'restart';

/** Seconds of the longest gap without an answer, and of all failed probes of a restart. Measured: 1.7 at most, on a busy machine. */
const limit = 5;

/** Seconds to continue after istiod is replaced: Envoy drains a changed listener for Istio's drainDuration of 45 s, then cuts its connections. */
const draining = 50;

/** Seconds until the operator must have removed an unused revision; by design it waits 30. */
const removing = 90;

const ids = {proxies: 'upgrade/proxies/version', revisions: 'upgrade/istio/revisions'};
const newProxies = 'every proxy has the new version';

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

/** The load runs while istiod is replaced and the server restarts; the other checks run after the restart of all workloads. */
export const upgrade: LayerChecks<MeshCheckInput> = {
  layer: 'upgrade',
  attribution: {
    class: 'connectivity',
    hint: "Find the span of the lost traffic in the table of the upgrade. Then check the logs of the proxies and of istiod, and the node's rules, in diagnostics/.",
    headline: family => `Traffic${family && ` over ${family}`} was lost during the upgrade`
  },
  samples: [pathSample],
  definitions: [
    ...families.flatMap(family => [
      under(
        'istiod',
        family,
        'new',
        `During the upgrade of istiod, every new connection over ${family} gets an answer`,
        `0 failed, no gap over ${limit} s`
      ),
      under(
        'istiod',
        family,
        'held',
        `During the upgrade of istiod, a held connection over ${family} stays open and gets answers`,
        `0 failed, never cut, no gap over ${limit} s`
      ),
      under(
        'restart',
        family,
        'new',
        `During the restart of the server, new connections over ${family} get answers`,
        `answered again within ${limit} s`
      ),
      under(
        'restart',
        family,
        'held',
        `After a restart cuts a held connection over ${family}, a client can open it again at once`,
        `answered again within ${limit} s`
      )
    ]),
    defineCheck(
      'upgrade',
      ids.proxies,
      'Every proxy has the new version after the restart',
      newProxies,
      {
        to: {kind: 'Deployment', namespace: 'istio-system', name: 'istiod'},
        attribution: {
          class: 'istio',
          hint: 'Find the pods with the old sidecar image (`kubectl get pods -A -o yaml`). Check that they restarted, and which revision their namespace or the revision tag names.',
          headline: 'Not every proxy has the new version after the upgrade'
        }
      }
    ),
    defineCheck(
      'upgrade',
      ids.revisions,
      'The operator removes the old revision when it is unused',
      'only the new revision',
      {
        to: {kind: 'Istio', namespace: '', name: 'default'},
        attribution: {
          class: 'operator',
          hint: "Check which revision is still in use (`kubectl get istiorevisions -o yaml`), and the operator's log.",
          headline: 'The operator did not remove the old revision of Istio'
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

/** A load that is running. */
export interface RunningLoad {
  /** Writes the start of a span into the log. */
  begin: (span: Span) => Promise<void>;
  /** Waits until Envoy has cut the connections of drained listeners. */
  drain: () => Promise<void>;
  /** Stops the load, and reports the outcomes. */
  end: () => Promise<void>;
}

const noLoad: RunningLoad = {begin: async () => {}, drain: async () => {}, end: async () => {}};

/** Starts the load over each family of the selected checks. Throws CommandError. */
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

/** Lists the single-stack Services of the dual-stack pods, on the port with STRICT mutual TLS. */
function listLoadTargets(input: MeshCheckInput, selected: CheckDefinition[]): LoadTarget[] {
  return families.flatMap(family => {
    const definitions = selected.filter(check => check.family === family);
    const address = findClusterIp(input, 'dual-stack', `tcp-echo-${family}`, family);
    if (address !== undefined) return definitions.length > 0 ? [{family, address, port: 9001}] : [];
    for (const one of definitions) input.report(one.id, describeMissingAddress(one));
    return [];
  });
}

/** Converts the log of a load to an outcome for each of its checks. Pure. */
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
      return [{id, outcome: skip('the upgrade failed before the restart of the server')}];
    return [{id, outcome: judgeLoad(span, measure(log, family, connections, from, until))}];
  });

function judgeLoad(span: Span, load: Load): Outcome {
  const {connections, sent, failed, cut, longestGap} = load;
  const observed = loadWords(load);
  const wrong = [
    sent === 0 && 'the client sent no probes',
    span === 'istiod' && failed > 0 && `${failed} of ${sent} probes got no answer`,
    span === 'istiod' && cut > 0 && `the connection was cut ${times(cut)}`,
    span === 'restart' &&
      failed * probeInterval > limit &&
      `${failed} of ${sent} probes got no answer`,
    longestGap > 1000 * limit && `no answer for ${longestGap} ms`
  ].filter(one => one !== false);
  const what = connections === 'new' ? 'new connections' : 'the held connection';
  return {
    observed,
    verdict: wrong.length === 0 ? 'passed' : 'failed',
    reason: wrong.length === 0 ? null : `${what}: ${wrong.join(', and ')}`,
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

/** Judges istiod's count of connected proxies by version. Throws CommandError. */
async function versions({plan, sh}: MeshCheckInput): Promise<Outcome> {
  const command = buildMetricsCommand(plan.istio);
  const found = parseProxyVersions(await runOrThrow(sh, command, {seconds: 20}));
  const [, wanted = ''] = /^v?(\d+\.\d+\.\d+)/.exec(plan.istio.expected ?? '') ?? [];
  const others = found.filter(({version}) => version !== wanted);
  const observed =
    found.length === 0
      ? 'no proxy is connected'
      : others.map(({version, proxies}) => `${proxies} with ${version}`).join(', ') || newProxies;
  return compare(newProxies, observed, {reproduce: command.join(' ')});
}

/** Parses `pilot_xds{version="1.30.3"} 12`; the version is the one that proxies report. */
export const parseProxyVersions = (metrics: string): {version: string; proxies: number}[] =>
  [...metrics.matchAll(/^pilot_xds\{version="([^"]*)"\} (\S+)$/gm)]
    .map(([, version = '', proxies]) => ({version, proxies: Number(proxies)}))
    .filter(({proxies}) => proxies > 0);

async function revisions({plan, sh, work}: MeshCheckInput): Promise<Outcome> {
  if (plan.upgrade?.strategy !== 'RevisionBased')
    return skip('an in-place upgrade has only one revision');
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
    'only the new revision',
    names.length === 1 && names[0] === revisions[1] ? 'only the new revision' : names.join(', '),
    {reproduce: 'kubectl get istiorevisions -o yaml'}
  );
}

/** Splits the checks into those before and after an upgrade. Layers that do not depend on the mesh run once. */
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
