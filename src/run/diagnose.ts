/** Turns the evidence of a run into its verdict: the cause, the failure class and the first broken layer. */
import {Fault} from '../base/fault.ts';
import {isOverload, overloadAttribution} from '../base/kube.ts';
import {redact, toSingleLine} from '../base/log.ts';
import {CommandError} from '../base/sh.ts';
import type {Attribution, EvaluatedCheck, LayerAttribution} from '../checks/definition.ts';
import {getPhaseKind} from '../results/phases.ts';
import {
  type CheckResult,
  type Failure,
  familyNames,
  type Layer,
  layers,
  type PhaseResult,
  type Result
} from '../results/results.ts';

/** How the run ended, apart from the results of its phases and checks. */
export type Ending = 'done' | 'timeout' | 'cancelled' | {bug: unknown};

export interface Evidence {
  ending: Ending;
  /** Errors that made phases fail, in the order of time. */
  errors: {phase: string; error: unknown}[];
  phases: PhaseResult[];
  checks: EvaluatedCheck[];
  /** The default attribution of each layer. */
  attributions: Record<Layer, LayerAttribution>;
  failOnFlaky: boolean;
  /** The run uses an existing cluster, which may be on another machine. */
  existing: boolean;
  /** How a node ended during the run; null if none did. */
  lostNode: string | null;
}

export interface Diagnosis {
  result: Result;
  failure: Failure | null;
  /** With `because`, and for failed checks `class` and `hint`. */
  checks: CheckResult[];
}

/** The verdict, the failure and the checks with their causes. Pure. */
export function diagnose(evidence: Evidence): Diagnosis {
  const broken = findBrokenChecks(evidence);
  const first = broken[0];
  const checks = evidence.checks.map(check => buildCheckResult(check, first, evidence));
  const cause = findLowerLayerFailure(evidence, first);
  const failure =
    createLostNodeFailure(evidence, first) ??
    cause ??
    (first ? createCheckFailure(first, evidence) : null) ??
    createEndingFailure(evidence) ??
    createErrorFailure(evidence.errors[0], evidence) ??
    createNotRunFailure(checks);
  const complete =
    evidence.ending === 'done' &&
    evidence.errors.length === 0 &&
    first &&
    evidence.lostNode === null;
  return {result: failure === null ? 'passed' : complete ? 'failed' : 'error', failure, checks};
}

/** The failure if a node ended: then failed checks prove nothing about Istio. Null if no node ended, or nothing failed. */
function createLostNodeFailure(
  {lostNode, ending, errors, attributions}: Evidence,
  first: EvaluatedCheck | undefined
): Failure | null {
  const [error] = errors;
  const isWrong = ending === 'timeout' || first !== undefined || error !== undefined;
  if (lostNode === null || !isWrong) return null;
  return {
    class: attributions.node.class,
    layer: 'node',
    check: null,
    message: toSingleLine(lostNode),
    hint: "Docker restarted, or the kernel (out of memory) or another program ended the node's container. Check `docker ps --all`, `docker logs NODE` and Docker's log. The failed checks prove nothing about Istio.",
    headline: 'A node of the cluster stopped during the run',
    ...(error && {phase: error.phase}),
    reproduce: containerGoneAdvice.reproduce
  };
}

/** The fault of a phase in a lower layer than the first broken check: it is the cause. Null if there is none. */
function findLowerLayerFailure(
  evidence: Evidence,
  first: EvaluatedCheck | undefined
): Failure | null {
  const fault = evidence.errors.find(({error}) => error instanceof Fault);
  const failure = first && fault ? createErrorFailure(fault, evidence) : null;
  if (!first || !failure?.layer) return null;
  return layers.indexOf(failure.layer) < layers.indexOf(first.layer) ? failure : null;
}

/** The failure if a check did not run although nothing failed: the run must not pass. */
function createNotRunFailure(checks: CheckResult[]): Failure | null {
  const unmade = checks.find(
    ({verdict, reason}) => verdict === 'skipped' && reason === 'not reached'
  );
  return unmade ? createBugFailure(`the check ${unmade.id} did not run`) : null;
}

/** A check as results.json has it. */
function buildCheckResult(
  made: EvaluatedCheck,
  first: EvaluatedCheck | undefined,
  evidence: Evidence
): CheckResult {
  const {attribution: _, independent = false, ...check} = made;
  const because = findCauseId(check, independent ? findBrokenCheckOfTarget(made, evidence) : first);
  if (check.verdict !== 'failed') return {...check, because};
  const {class: failureClass, hint} = attributeCheck(made, evidence);
  return {...check, because, class: failureClass, hint};
}

/** The attribution of a failed check: from the other checks, else from the check, else from its layer. */
function attributeCheck(check: EvaluatedCheck, {attributions, checks}: Evidence): Attribution {
  const {class: failureClass, hint, headline, evidence} = attributions[check.layer];
  const families = new Set(
    checks
      .filter(one => isSameLayerAndStage(one, check) && one.verdict === 'failed')
      .flatMap(({family}) => family ?? [])
  );
  const [family] = families;
  return {
    class: failureClass,
    hint,
    headline: headline(families.size === 1 && family ? familyNames[family] : ''),
    ...check.attribution,
    ...evidence?.(
      check,
      checks.filter(({stage}) => stage === check.stage) // ids are unique in a stage
    )
  };
}

const isSameLayerAndStage = (one: CheckResult, other: CheckResult): boolean =>
  one.layer === other.layer && one.stage === other.stage;

const stages: CheckResult['stage'][] = ['install', 'upgrade'];

/** The rank of a check: first by stage, then by layer from the lowest. */
const rankCheck = ({stage, layer}: CheckResult): number =>
  stages.indexOf(stage) * layers.length + layers.indexOf(layer);

function findBrokenChecks({checks, failOnFlaky}: Evidence): EvaluatedCheck[] {
  return checks
    .filter(({verdict}) => verdict === 'failed' || (failOnFlaky && verdict === 'flaky'))
    .sort((one, other) => rankCheck(one) - rankCheck(other));
}

/** The first broken independent check of the same target. */
const findBrokenCheckOfTarget = (
  {target}: EvaluatedCheck,
  evidence: Evidence
): EvaluatedCheck | undefined =>
  findBrokenChecks(evidence).find(one => one.independent && one.target === target);

/** The id of the first broken check, if it is in a lower layer and so the cause of this one; else null. */
function findCauseId(check: CheckResult, first: CheckResult | undefined): string | null {
  const follows =
    check.verdict === 'failed' &&
    first &&
    check.stage === first.stage &&
    layers.indexOf(check.layer) > layers.indexOf(first.layer);
  return follows ? first.id : null;
}

function createCheckFailure(check: EvaluatedCheck, evidence: Evidence): Failure {
  const {title, layer, id, attempts, reproduce} = check;
  const retried = `passed only on a retry, and fail-on-flaky is set; at first ${attempts[0]?.observed || 'no response'}`;
  const found = (check.reason ?? retried).replace(/[.?!]+$/, '');
  return {
    ...attributeCheck(check, evidence),
    layer,
    check: id,
    message: toSingleLine(`Expected: ${title}. Found: ${found}.`),
    reproduce: reproduce && redact(reproduce)
  };
}

function createEndingFailure({ending, phases}: Evidence): Failure | null {
  if (ending === 'done') return null;
  if (typeof ending === 'object') return createBugFailure(ending.bug);
  const running = phases.filter(({status}) => status === 'cancelled');
  const doing = running.map(
    ({name, waits}) => `${name}${waits.length > 0 ? ` (waiting for ${waits.at(-1)?.for})` : ''}`
  );
  const under = running.flatMap(({name}) => getPhaseKind(name)?.layer ?? []);
  return {
    class: ending,
    layer: layers.find(layer => under.includes(layer)) ?? null, // the lowest layer: the others may wait for it
    check: null,
    message: toSingleLine(
      `${ending === 'timeout' ? '`timeout` expired' : 'The run was cancelled'} ${doing.length > 0 ? `during ${doing.join(', ')}` : 'while no phase was running'}`
    ),
    hint:
      ending === 'timeout'
        ? 'Check what the run was waiting for. A larger `timeout` helps only if that can still happen.'
        : 'The cancellation proves nothing about the mesh.',
    reproduce: null
  };
}

function createErrorFailure(
  first: {phase: string; error: unknown} | undefined,
  {attributions, existing}: Evidence
): Failure | null {
  if (!first) return null;
  const {phase, error} = first;
  if (!(error instanceof Error)) return createBugFailure(error);
  if (!(error instanceof Fault) && !(error instanceof CommandError)) return createBugFailure(error);
  // invalid inputs have one line each
  const lines = /^(inputs|survey)$/.test(phase)
    ? error.message.split('\n')
    : [removeRepeatedLines(error.message)];
  const message = lines.map(toSingleLine).join('\n');
  // the API server or the node is gone, whichever phase found it
  if (nodeGonePattern.test(message))
    return {
      class: attributions.node.class,
      layer: 'node',
      check: null,
      message,
      ...(existing ? unreachableAdvice : containerGoneAdvice),
      headline: 'The cluster no longer responds',
      phase
    };
  if (error instanceof Fault) {
    const {class: failureClass, layer, hint, headline, reproduce} = error.attribution;
    return {
      class: failureClass,
      layer: layer ?? (failureClass === 'input' ? null : (getPhaseKind(phase)?.layer ?? null)),
      check: null,
      message,
      hint,
      ...(headline !== undefined && {headline}),
      phase,
      reproduce: reproduce ? redact(reproduce) : null
    };
  }
  const layer = getPhaseKind(phase)?.layer ?? null;
  // a request to the mesh has its own, shorter time limit, so a timeout of the command is an overload
  if (
    layer !== null &&
    error instanceof CommandError &&
    isOverload({late: error.timedOut, said: message})
  )
    return {...overloadAttribution, layer, check: null, message, phase};
  return layer === null
    ? createBugFailure(error)
    : {
        class: attributions[layer].class,
        layer,
        check: null,
        message,
        hint: attributions[layer].hint,
        phase,
        reproduce: null
      };
}

/** Removes repeated lines: kubectl prints the same error for each requested kind. */
function removeRepeatedLines(text: string): string {
  const lines = text.split('\n').map(line => line.trim());
  const isNew = (line: string, at: number) =>
    !lines.slice(0, at).some(before => before.endsWith(line));
  return lines.filter((line, at) => at === 0 || isNew(line, at)).join('\n');
}

const nodeGonePattern =
  /the connection to the server .{0,500} was refused|Unable to connect to the server|cluster unreachable|container \S{1,200} is not running|No such container|error dialing backend/i;

const containerGoneAdvice = {
  hint: "The node's container or its API server has ended. `docker ps --all` shows whether the container runs; `docker logs NODE` and `docker inspect NODE` show why it ended, such as out of memory.",
  reproduce: 'docker ps --all --filter label=io.x-k8s.kind.cluster'
};
const unreachableAdvice = {
  hint: 'The API server does not respond to this runner, or a node does not respond to the API server. Check that this runner reaches the API server, and that the nodes are Ready.',
  reproduce: 'kubectl get --raw /readyz'
};

function createBugFailure(bug: unknown): Failure {
  return {
    class: 'internal',
    layer: null,
    check: null,
    message: toSingleLine(bug instanceof Error ? `${bug.name}: ${bug.message}` : String(bug)),
    hint: 'This is a bug in the Action. Please report it with results.json.',
    reproduce: null
  };
}
