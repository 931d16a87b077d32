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

/** How the run ended, apart from what its phases and checks say. */
export type Ending = 'done' | 'timeout' | 'cancelled' | {bug: unknown};

export interface Evidence {
  ending: Ending;
  /** What made phases fail, first one first. */
  errors: {phase: string; error: unknown}[];
  phases: PhaseResult[];
  checks: EvaluatedCheck[];
  /** What is told of each layer. */
  attributions: Record<Layer, LayerAttribution>;
  failOnFlaky: boolean;
  /** The cluster was there before, and need not run on this machine. */
  existing: boolean;
  /** What became of a node that was there, where it did not run to the end. */
  lostNode: string | null;
}

export interface Diagnosis {
  result: Result;
  failure: Failure | null;
  /** With `because` filled in, and of those that failed `class` and `hint`. */
  checks: CheckResult[];
}

/** Everything that was seen → the verdict, whose fault it is, and the first broken layer. Pure. */
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

/** Where a node was lost, what failed says nothing of what runs on it. */
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
    hint: "Docker was restarted, or somebody, or the kernel for want of memory, ended the node's container: see `docker ps --all`, `docker logs NODE` and Docker's own log. What failed says nothing of Istio.",
    headline: 'A node of the cluster did not run to the end',
    ...(error && {phase: error.phase}),
    reproduce: containerGoneAdvice.reproduce
  };
}

/** A fault of a lower layer than the broken check's is the cause, and the check its consequence. */
function findLowerLayerFailure(
  evidence: Evidence,
  first: EvaluatedCheck | undefined
): Failure | null {
  const fault = evidence.errors.find(({error}) => error instanceof Fault);
  const failure = first && fault ? createErrorFailure(fault, evidence) : null;
  if (!first || !failure?.layer) return null;
  return layers.indexOf(failure.layer) < layers.indexOf(first.layer) ? failure : null;
}

/** A check that nobody made although nothing went wrong: green would be a lie. */
function createNotRunFailure(checks: CheckResult[]): Failure | null {
  const unmade = checks.find(
    ({verdict, reason}) => verdict === 'skipped' && reason === 'not reached'
  );
  return unmade ? createBugFailure(`the check ${unmade.id} was not made`) : null;
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

/** What is told of a failed check: what the others show of it, else what it says itself, else what its layer does. */
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

/** Where a check stands among all: those before an upgrade, from the ground up; then those after it. */
const rankCheck = ({stage, layer}: CheckResult): number =>
  stages.indexOf(stage) * layers.length + layers.indexOf(layer);

function findBrokenChecks({checks, failOnFlaky}: Evidence): EvaluatedCheck[] {
  return checks
    .filter(({verdict}) => verdict === 'failed' || (failOnFlaky && verdict === 'flaky'))
    .sort((one, other) => rankCheck(one) - rankCheck(other));
}

/** Of checks that stand apart, the broken one of the same target. */
const findBrokenCheckOfTarget = (
  {target}: EvaluatedCheck,
  evidence: Evidence
): EvaluatedCheck | undefined =>
  findBrokenChecks(evidence).find(one => one.independent && one.target === target);

/** What fails in a layer further up follows from the first broken one. */
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
  const retried = `only on a retry, and fail-on-flaky is set; first ${attempts[0]?.observed || 'no answer'}`;
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
    layer: layers.find(layer => under.includes(layer)) ?? null, // the lowest: the others may wait for it
    check: null,
    message: toSingleLine(
      `${ending === 'timeout' ? 'The time given by `timeout` was over' : 'The run was cancelled'} in ${doing.join(', ') || 'no phase'}`
    ),
    hint:
      ending === 'timeout'
        ? 'See what it was waiting for; a larger `timeout` helps only if that can still come.'
        : 'Nothing is wrong with the mesh by this.',
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
  // several bad inputs have a line each
  const lines = /^(inputs|survey)$/.test(phase)
    ? error.message.split('\n')
    : [removeRepeatedLines(error.message)];
  const message = lines.map(toSingleLine).join('\n');
  // the API server or the node is gone, whichever phase asked it
  if (nodeGonePattern.test(message))
    return {
      class: attributions.node.class,
      layer: 'node',
      check: null,
      message,
      ...(existing ? unreachableAdvice : containerGoneAdvice),
      headline: 'The cluster does not answer any more',
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
  // what is asked of the mesh has a time limit of its own, within the command's
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

/** kubectl says the same once for each kind that it was asked for. */
function removeRepeatedLines(text: string): string {
  const lines = text.split('\n').map(line => line.trim());
  const isNew = (line: string, at: number) =>
    !lines.slice(0, at).some(before => before.endsWith(line));
  return lines.filter((line, at) => at === 0 || isNew(line, at)).join('\n');
}

const nodeGonePattern =
  /the connection to the server .{0,500} was refused|Unable to connect to the server|cluster unreachable|container \S{1,200} is not running|No such container|error dialing backend/i;

const containerGoneAdvice = {
  hint: "The node's container has ended, or its API server has: `docker ps --all` tells whether it runs, `docker logs NODE` and `docker inspect NODE` why not (memory, somebody who ended it).",
  reproduce: 'docker ps --all --filter label=io.x-k8s.kind.cluster'
};
const unreachableAdvice = {
  hint: 'The API server of the kubeconfig does not answer from here, or a node of the cluster does not answer it: see whether this runner reaches it, and whether its nodes are Ready.',
  reproduce: 'kubectl get --raw /readyz'
};

function createBugFailure(bug: unknown): Failure {
  return {
    class: 'internal',
    layer: null,
    check: null,
    message: toSingleLine(bug instanceof Error ? `${bug.name}: ${bug.message}` : String(bug)),
    hint: 'This is a bug of the Action: please report it with results.json.',
    reproduce: null
  };
}
