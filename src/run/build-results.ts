import about from '../../package.json' with {type: 'json'};
import {plainText, redact} from '../base/log.ts';
import {moved} from '../checks/docs.ts';
import {givenInputs} from '../inputs/inputs.ts';
import type {Plan} from '../plan/plan.ts';
import {rerun} from '../reports/versions.ts';
import {clip} from '../reports/words.ts';
import {
  type CheckResult,
  type Failure,
  type Family,
  type Results,
  schema
} from '../results/results.ts';
import {unsupported} from '../versions/kubernetes.ts';
import {skipped} from '../versions/upgrade-path.ts';
import type {Diagnosis} from './diagnose.ts';
import type {RunContext} from './run-context.ts';

/** What the run knows, and its diagnosis, as results.json has it. */
export function gather(run: RunContext, {result, failure, checks}: Diagnosis): Results {
  return cleaned({
    schema,
    result,
    failure: failure && withoutPrivate(failure, run),
    run: githubRun(process.env),
    rehearsal: rehearsal(),
    versions: versions(run),
    warnings: [...warnings(run), ...moved(checks)],
    inputs: givenInputs(),
    cluster: cluster(run),
    started: run.started.toISOString(),
    seconds: rounded(run.clock()),
    phases: run.schedule.phases.map(phase => ({
      ...phase,
      at: phase.at === null ? null : rounded(phase.at),
      seconds: rounded(phase.seconds),
      waits: phase.waits.map(wait => ({...wait, seconds: rounded(wait.seconds)}))
    })),
    checks: checks.map(check => ({
      ...withoutPrivate(check, run),
      attempts: check.attempts.map(attempt => ({
        ...attempt,
        at: rounded(attempt.at),
        seconds: rounded(attempt.seconds)
      }))
    }))
  });
}

function versions(run: RunContext): Results['versions'] {
  const {inputs, plan} = run;
  const ours = {
    action: {asked: null, found: `v${about.version}`},
    kubernetes: {
      asked: inputs?.['node-image'] ?? inputs?.['kubernetes-version'] ?? null,
      found: run.kubernetes ?? null
    },
    kubectl: tool(run, 'kubectl')
  };
  if (inputs && inputs.targets !== null) return ours; // nothing else is used
  return {
    action: ours.action,
    kind: tool(run, 'kind'),
    kubernetes: ours.kubernetes,
    kubectl: ours.kubectl,
    helm: tool(run, 'helm'),
    operator: {
      asked: inputs?.['operator-chart'] === null ? inputs['operator-version'] : null,
      found: run.chart?.version ?? null
    },
    ...(plan?.upgrade && {
      'istio-before': {asked: inputs?.['upgrade-from'] ?? null, found: plan.upgrade.from}
    }),
    istio: {asked: inputs?.['istio-version'] ?? null, found: run.istio ?? null},
    ...(plan && !plan.existing?.mesh && {hub: findHub(plan)})
  };
}

/** Where Istio's images come from. */
const findHub = ({hub, istio}: Plan) => ({
  asked: hub ?? 'chart',
  found: istio.images.istiod === '' ? hub : istio.images.istiod.replace(/\/[^/]*$/, '')
});

function cluster({plan, targetCluster}: RunContext): Results['cluster'] {
  if (plan)
    return {
      kind: plan.existing === null ? 'kind' : 'existing',
      name: plan.cluster.name,
      context: plan.cluster.context,
      ipFamilies: plan.cluster.families
    };
  if (!targetCluster) return null;
  const {context, name, services} = targetCluster;
  const families = services.flatMap(({spec}) => spec.ipFamilies ?? []);
  const ipFamilies = [...new Set(families)].map(family => family.toLowerCase() as Family);
  return {kind: 'existing', name, context, ipFamilies};
}

/** The longest text of one field, in characters. */
const longest = 8000;

/** The same, where no text is longer than people read, and none holds what is secret: every report is made of this. */
function cleaned<Value>(value: Value): Value {
  if (typeof value === 'string') return clip(redact(plainText(value)), longest) as Value;
  if (Array.isArray(value)) return value.map(cleaned) as Value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, cleaned(field)])
  ) as Value;
}

/** What was found, or else what was planned, and does not fit together. */
function warnings({plan, istio, kubernetes}: RunContext): string[] {
  const upgrade = plan?.upgrade;
  const versions = upgrade ? [upgrade.from, upgrade.to] : [istio ?? plan?.istio.expected ?? null];
  return [
    ...versions.map(one => unsupported(one, kubernetes ?? plan?.cluster.kubernetes ?? null)),
    upgrade ? skipped(upgrade.from, upgrade.to, upgrade.strategy) : null
  ].filter(told => told !== null);
}

/**
 * The same without a command that names files of the private directory, and without that directory in sentences:
 * it is deleted before anybody reads this. The script makes files of those names anew.
 */
function withoutPrivate<
  Told extends Partial<
    Pick<Failure, 'message' | 'headline' | 'reproduce'> & Pick<CheckResult, 'reason' | 'observed'>
  >
>(told: Told, {directory, plan}: RunContext): Told {
  if (directory === undefined) return told;
  const bare = (text: string) => text.replaceAll(`${directory}/`, '').replaceAll(directory, '.');
  const {message, headline, reason, observed, reproduce} = told;
  return {
    ...told,
    ...(message && {message: bare(message)}),
    ...(headline && {headline: bare(headline)}),
    ...(reason && {reason: bare(reason)}),
    ...(observed && {observed: bare(observed)}),
    ...(reproduce?.includes(directory) && {reproduce: plan ? rerun : null})
  };
}

/** The recording that is played; null on a real run. */
export const rehearsal = (): Results['rehearsal'] =>
  process.env.DUAL_STACK_REHEARSAL ? {recording: process.env.DUAL_STACK_REHEARSAL} : null;

/** The workflow run that this is part of. */
export function githubRun(env: NodeJS.ProcessEnv): Results['run'] {
  const {GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id} = env;
  return {
    id: id || null,
    attempt: env.GITHUB_RUN_ATTEMPT || null,
    url: server && repository && id ? `${server}/${repository}/actions/runs/${id}` : null,
    sha: env.GITHUB_SHA || null
  };
}

const tool = ({inputs, tools}: RunContext, name: 'kind' | 'kubectl' | 'helm') => ({
  asked: inputs?.[`${name}-version`] ?? null,
  found: tools[name]?.version ?? null
});

/** To the millisecond. */
const rounded = (seconds: number): number => Number(seconds.toFixed(3));
