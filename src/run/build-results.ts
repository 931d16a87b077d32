/** Builds results.json from the state of a run and its diagnosis. */
import about from '../../package.json' with {type: 'json'};
import {redact, stripControlSequences} from '../base/log.ts';
import {listDocsChanges} from '../checks/docs.ts';
import {collectSetInputs} from '../inputs/inputs.ts';
import type {Plan} from '../plan/plan.ts';
import {rerunCommand} from '../reports/versions.ts';
import {truncate} from '../reports/words.ts';
import {
  type CheckResult,
  type Failure,
  type Family,
  type Results,
  schema
} from '../results/results.ts';
import {describeUnsupportedVersion} from '../versions/kubernetes.ts';
import {describeSkippedMinors} from '../versions/upgrade-path.ts';
import type {Diagnosis} from './diagnose.ts';
import type {RunContext} from './run-context.ts';

/** The results of a run, without secrets and private paths. */
export function buildResults(run: RunContext, {result, failure, checks}: Diagnosis): Results {
  return sanitize({
    schema,
    result,
    failure: failure && removePrivatePaths(failure, run),
    run: getGithubRun(process.env),
    rehearsal: getRehearsal(),
    versions: collectVersions(run),
    warnings: [...collectWarnings(run), ...listDocsChanges(checks)],
    inputs: collectSetInputs(),
    cluster: describeCluster(run),
    started: run.started.toISOString(),
    seconds: roundToMilliseconds(run.clock()),
    phases: run.schedule.phases.map(phase => ({
      ...phase,
      at: phase.at === null ? null : roundToMilliseconds(phase.at),
      seconds: roundToMilliseconds(phase.seconds),
      waits: phase.waits.map(wait => ({...wait, seconds: roundToMilliseconds(wait.seconds)}))
    })),
    checks: checks.map(check => ({
      ...removePrivatePaths(check, run),
      attempts: check.attempts.map(attempt => ({
        ...attempt,
        at: roundToMilliseconds(attempt.at),
        seconds: roundToMilliseconds(attempt.seconds)
      }))
    }))
  });
}

function collectVersions(run: RunContext): Results['versions'] {
  const {inputs, plan} = run;
  const ours = {
    action: {asked: null, found: `v${about.version}`},
    kubernetes: {
      asked: inputs?.['node-image'] ?? inputs?.['kubernetes-version'] ?? null,
      found: run.kubernetes ?? null
    },
    kubectl: getToolVersions(run, 'kubectl')
  };
  if (inputs && inputs.targets !== null) return ours; // a run with targets uses no other tool
  return {
    action: ours.action,
    kind: getToolVersions(run, 'kind'),
    kubernetes: ours.kubernetes,
    kubectl: ours.kubectl,
    helm: getToolVersions(run, 'helm'),
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

/** The registry and path of Istio's images. */
const findHub = ({hub, istio}: Plan) => ({
  asked: hub ?? 'chart',
  found: istio.images.istiod === '' ? null : istio.images.istiod.replace(/\/[^/]*$/, '')
});

function describeCluster({plan, targetCluster}: RunContext): Results['cluster'] {
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
const maxTextLength = 8000;

/** The same value with all texts redacted and truncated. Every report is built from it. */
function sanitize<Value>(value: Value): Value {
  if (typeof value === 'string')
    return truncate(redact(stripControlSequences(value)), maxTextLength) as Value;
  if (Array.isArray(value)) return value.map(sanitize) as Value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, sanitize(field)])
  ) as Value;
}

/** Warnings about unsupported combinations of the found versions, or else of the planned ones. */
function collectWarnings({plan, istio, kubernetes}: RunContext): string[] {
  const upgrade = plan?.upgrade;
  const versions = upgrade ? [upgrade.from, upgrade.to] : [istio ?? plan?.istio.expected ?? null];
  return [
    ...versions.map(one =>
      describeUnsupportedVersion(one, kubernetes ?? plan?.cluster.kubernetes ?? null)
    ),
    upgrade ? describeSkippedMinors(upgrade.from, upgrade.to, upgrade.strategy) : null
  ].filter(told => told !== null);
}

/**
 * The same without the path of the private directory, which is deleted at the end. A command that uses it is replaced by
 * the script, which creates these files again.
 */
function removePrivatePaths<
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
    ...(reproduce?.includes(directory) && {reproduce: plan ? rerunCommand : null})
  };
}

/** The recording of a rehearsal; null in a real run. */
export const getRehearsal = (): Results['rehearsal'] =>
  process.env.DUAL_STACK_REHEARSAL ? {recording: process.env.DUAL_STACK_REHEARSAL} : null;

/** The GitHub workflow run that this run is part of. */
export function getGithubRun(env: NodeJS.ProcessEnv): Results['run'] {
  const {GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id} = env;
  return {
    id: id || null,
    attempt: env.GITHUB_RUN_ATTEMPT || null,
    url: server && repository && id ? `${server}/${repository}/actions/runs/${id}` : null,
    sha: env.GITHUB_SHA || null
  };
}

const getToolVersions = ({inputs, tools}: RunContext, name: 'kind' | 'kubectl' | 'helm') => ({
  asked: inputs?.[`${name}-version`] ?? null,
  found: tools[name]?.version ?? null
});

const roundToMilliseconds = (seconds: number): number => Number(seconds.toFixed(3));
