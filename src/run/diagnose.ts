import {Fault} from '../base/fault.ts';
import {oneLine, redact} from '../base/log.ts';
import {
  type CheckResult,
  type Failure,
  type FailureClass,
  type Layer,
  layers,
  type PhaseResult,
  type Result
} from '../results/results.ts';

/** Whose fault it is when a layer does not hold, and what a person can do about it. */
const blame: Record<Layer, {class: FailureClass; hint: string}> = {
  runner: {
    class: 'infrastructure',
    hint: 'The machine lacks something that kind needs: start Docker, enable IPv6, or raise the limit named.'
  },
  network: {
    class: 'infrastructure',
    hint: 'Remove the network (`docker network rm kind`), and let Docker do IPv6: kind makes it anew with both families.'
  },
  node: {
    class: 'infrastructure',
    hint: 'The cluster itself is at fault: see its nodes and their containers, their pod CIDRs, and `kind-config`.'
  },
  operator: {class: 'operator', hint: "See the operator's Deployment and its log in diagnostics/."},
  'control-plane': {
    class: 'istio',
    hint: 'See the Istio resource and the log of istiod in diagnostics/.'
  },
  workload: {
    class: 'istio',
    hint: 'See the pods and their events in diagnostics/; the sidecar injector must serve.'
  },
  service: {
    class: 'connectivity',
    hint: 'The Service is not what the sample says: see its ipFamilyPolicy and ipFamilies.'
  },
  endpoints: {
    class: 'infrastructure',
    hint: 'See the EndpointSlices, and the log of kube-controller-manager.'
  },
  dns: {
    class: 'infrastructure',
    hint: 'See CoreDNS: `kubectl logs -n kube-system deploy/coredns`.'
  },
  cluster: {
    class: 'infrastructure',
    hint: "The fault is below Istio: see the node's routes and ip6tables in diagnostics/."
  },
  proxy: {
    class: 'istio',
    hint: 'See ISTIO_DUAL_STACK in istiod and in the proxies, and the Envoy configuration in diagnostics/.'
  },
  echo: {
    class: 'connectivity',
    hint: 'Run the command below; the layers above hold, so see the proxies of client and server.'
  },
  path: {
    class: 'connectivity',
    hint: 'One family between the pods is dead, which the dual-stack echo cannot show: Envoy carries that Service over the other family.'
  },
  mtls: {
    class: 'istio',
    hint: 'See the PeerAuthentication, and the certificates of the proxies (`istioctl proxy-config secret`).'
  },
  failover: {
    class: 'istio',
    hint: "Envoy does not try the pod's other address: see additional_addresses in its endpoints."
  },
  uninstall: {class: 'operator', hint: "See the operator's log for what it could not delete."}
};

/** Where a phase works; a time that is over is told of that layer. */
const layerOfPhase = (phase: string): Layer | null => {
  const table: Record<string, Layer> = {
    kind: 'runner',
    kubectl: 'runner',
    helm: 'runner',
    chart: 'runner',
    name: 'runner',
    cluster: 'node',
    containerd: 'node',
    api: 'node',
    version: 'node',
    cordon: 'node',
    uncordon: 'node',
    images: 'node',
    pulls: 'node',
    'kube-proxy': 'node',
    namespaces: 'node',
    services: 'node',
    crds: 'operator',
    operator: 'operator',
    strict: 'control-plane',
    istiod: 'control-plane',
    mesh: 'control-plane',
    'plain samples': 'workload',
    samples: 'workload',
    look: 'node'
  };
  if (/^(save|images): /.test(phase)) return 'node';
  return table[phase] ?? layers.find(layer => phase === `check ${layer}`) ?? null;
};

/** How the run ended, apart from what its phases and checks say. */
export type Ending = 'done' | 'timeout' | 'cancelled' | {bug: unknown};

export interface Evidence {
  ending: Ending;
  /** What made phases fail, first one first. */
  errors: {phase: string; error: unknown}[];
  phases: PhaseResult[];
  checks: CheckResult[];
  failOnFlaky: boolean;
}

export interface Diagnosis {
  result: Result;
  failure: Failure | null;
  /** With `because` filled in. */
  checks: CheckResult[];
}

/** Everything that was seen → the verdict, whose fault it is, and the first broken layer. Pure. */
export function diagnose(evidence: Evidence): Diagnosis {
  const broken = brokenChecks(evidence);
  const first = broken[0];
  const checks = evidence.checks.map(check => ({...check, because: causeOf(check, first)}));
  const cause = causeBelow(evidence.errors, first);
  const failure =
    cause ??
    (first ? ofCheck(first) : null) ??
    ofEnding(evidence) ??
    ofError(evidence.errors[0]) ??
    ofUnmade(checks);
  const complete = evidence.ending === 'done' && evidence.errors.length === 0 && first;
  return {result: failure === null ? 'passed' : complete ? 'failed' : 'error', failure, checks};
}

/** A fault of a lower layer than the broken check's is the cause, and the check its consequence. */
function causeBelow(errors: Evidence['errors'], first: CheckResult | undefined): Failure | null {
  const fault = errors.find(({error}) => error instanceof Fault);
  const failure = first && fault ? ofError(fault) : null;
  if (!first || !failure?.layer) return null;
  return layers.indexOf(failure.layer) < layers.indexOf(first.layer) ? failure : null;
}

/** A check that nobody made although nothing went wrong: green would be a lie. */
function ofUnmade(checks: CheckResult[]): Failure | null {
  const unmade = checks.find(
    ({verdict, reason}) => verdict === 'skipped' && reason === 'not reached'
  );
  return unmade ? ofBug(`the check ${unmade.id} was not made`) : null;
}

function brokenChecks({checks, failOnFlaky}: Evidence): CheckResult[] {
  return checks
    .filter(({verdict}) => verdict === 'failed' || (failOnFlaky && verdict === 'flaky'))
    .sort((one, other) => layers.indexOf(one.layer) - layers.indexOf(other.layer));
}

/** What fails in a layer further up follows from the first broken one. */
function causeOf(check: CheckResult, first: CheckResult | undefined): string | null {
  const follows =
    check.verdict === 'failed' &&
    first &&
    layers.indexOf(check.layer) > layers.indexOf(first.layer);
  return follows ? first.id : null;
}

function ofCheck(check: CheckResult): Failure {
  const {title, layer, id, attempts, reproduce} = check;
  const retried = `only on a retry, and fail-on-flaky is set; first ${attempts[0]?.observed || 'no answer'}`;
  const found = (check.reason ?? retried).replace(/[.?!]+$/, '');
  return {
    ...blame[layer],
    layer,
    check: id,
    message: oneLine(`Expected: ${title}. Found: ${found}.`),
    reproduce: reproduce && redact(reproduce)
  };
}

function ofEnding({ending, phases}: Evidence): Failure | null {
  if (ending === 'done') return null;
  if (typeof ending === 'object') return ofBug(ending.bug);
  const running = phases.filter(({status}) => status === 'cancelled');
  const doing = running.map(
    ({name, waits}) => `${name}${waits.length > 0 ? ` (waiting for ${waits.at(-1)?.for})` : ''}`
  );
  const last = running.at(-1);
  return {
    class: ending,
    layer: last ? layerOfPhase(last.name) : null,
    check: null,
    message: oneLine(
      `${ending === 'timeout' ? 'The time given by `timeout` was over' : 'The run was cancelled'} in ${doing.join(', ') || 'no phase'}`
    ),
    hint:
      ending === 'timeout'
        ? 'See what it was waiting for; a larger `timeout` helps only if that can still come.'
        : 'Nothing is wrong with the mesh by this.',
    reproduce: null
  };
}

function ofError(first: {phase: string; error: unknown} | undefined): Failure | null {
  if (!first) return null;
  const {phase, error} = first;
  if (!(error instanceof Error)) return ofBug(error);
  if (!(error instanceof Fault) && error.name !== 'CommandError') return ofBug(error);
  const message = oneLine(error.message);
  // the API server or the node is gone, whichever phase asked it
  if (nodeGone.test(message))
    return {...blame.node, layer: 'node', check: null, message, reproduce: 'kubectl get nodes'};
  if (error instanceof Fault) {
    const {class: failureClass, layer, hint, reproduce} = error.because;
    return {
      class: failureClass,
      layer: layer ?? (failureClass === 'input' ? null : layerOfPhase(phase)),
      check: null,
      message,
      hint,
      reproduce: reproduce ? redact(reproduce) : null
    };
  }
  const layer = layerOfPhase(phase);
  return layer === null
    ? ofBug(error)
    : {...blame[layer], layer, check: null, message, reproduce: null};
}

const nodeGone =
  /the connection to the server .* was refused|Unable to connect to the server|cluster unreachable|container \S+ is not running|No such container|error dialing backend/i;

function ofBug(bug: unknown): Failure {
  return {
    class: 'internal',
    layer: null,
    check: null,
    message: oneLine(bug instanceof Error ? `${bug.name}: ${bug.message}` : String(bug)),
    hint: 'This is a bug of the Action: please report it with results.json.',
    reproduce: null
  };
}
