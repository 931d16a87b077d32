/** The types of results.json, the source of every report. Its names are stable; a later schema only adds fields. */
export const schema = 1;

export type Family = 'ipv4' | 'ipv6';

export const families: Family[] = ['ipv4', 'ipv6'];

/** For display. */
export const familyNames: Record<Family, string> = {ipv4: 'IPv4', ipv6: 'IPv6'};

/** From the ground up. The first layer with a failure is the broken one. */
export const layers = [
  'runner',
  'network',
  'node',
  'operator',
  'control-plane',
  'workload',
  'service',
  'endpoints',
  'dns',
  'cluster',
  'xds',
  'proxy',
  'cni',
  'ambient',
  'echo',
  'path',
  'mtls',
  'failover',
  'health',
  'http',
  'headless',
  'egress',
  'gateway',
  'dns-proxy',
  'upgrade',
  'uninstall',
  'docs'
] as const;
export type Layer = (typeof layers)[number];

export const failureClasses = [
  'input',
  'infrastructure',
  'operator',
  'istio',
  'connectivity',
  'timeout',
  'cancelled',
  'internal'
] as const;
export type FailureClass = (typeof failureClasses)[number];

/** `failed`: a check failed. `error`: the checks could not run. */
export type Result = 'passed' | 'failed' | 'error';

/** `flaky`: passed after a retry. It counts as passed, and reports show it. */
export type Verdict = 'passed' | 'failed' | 'skipped' | 'flaky';

export interface Failure {
  class: FailureClass;
  layer: Layer | null;
  /** Id of the broken check; null if there is none. */
  check: string | null;
  /** One sentence with the expected and the observed state; one line for each of several invalid inputs. */
  message: string;
  /** The next step for the user. */
  hint: string;
  /** The broken part in a few words: the first line of every report. */
  headline?: string;
  /** The failed phase, if a phase failed. */
  phase?: string;
  /** The command that reproduces it, if there is one. */
  reproduce?: string | null;
}

/** The Kubernetes object at an end of a check. */
export interface Place {
  kind: string;
  namespace: string;
  name: string;
}

export interface Attempt {
  /** Seconds since the start of the run. */
  at: number;
  seconds: number;
  observed: string;
}

/** The counts of a client that probed one family continuously. */
export interface Load {
  /** `new`: a connection for each probe; `held`: one connection for all probes, reopened only after it ended. */
  connections: 'new' | 'held';
  sent: number;
  /** Number of probes without an answer. */
  failed: number;
  /** Number of times that the held connection ended. */
  cut: number;
  /** The longest time without an answer, in milliseconds. */
  longestGap: number;
}

export interface CheckResult {
  /** `layer/target/aspect`, the same in each run. */
  id: string;
  layer: Layer;
  title: string;
  family: Family | null;
  stage: 'install' | 'upgrade';
  from: Place | null;
  to: Place | null;
  /** The tested workload or object; a row of the grid. */
  target: string;
  /** The probed address, as passed to the client; null without a connection. */
  address: string | null;
  /** The address that the connection reached, if known. */
  upstream: string | null;
  expected: string;
  observed: string;
  verdict: Verdict;
  /** Why it failed or was skipped; null if it passed. */
  reason: string | null;
  /** Id of the check that caused this failure. */
  because: string | null;
  attempts: Attempt[];
  /** The command that reproduces it; null if there is none. */
  reproduce: string | null;
  /** Its row in the grid, with the name of the target if `named`; absent: in no row. */
  grid?: {title: string; named: boolean};
  /** The counts of a check under load. */
  load?: Load;
  /** The failure class; only for a failed check. */
  class?: FailureClass;
  /** The next step for the user; only for a failed check. */
  hint?: string;
}

export interface PhaseResult {
  name: string;
  status: 'passed' | 'failed' | 'skipped' | 'cancelled';
  needs: string[];
  /** Seconds since the start of the run; null if it did not start. */
  at: number | null;
  seconds: number;
  /** The conditions that it waited for, with durations. */
  waits: {for: string; seconds: number}[];
}

export interface Results {
  schema: typeof schema;
  result: Result;
  failure: Failure | null;
  /** Null outside of GitHub Actions. */
  run: {
    id: string | null;
    attempt: string | null;
    url: string | null;
    sha: string | null;
  };
  rehearsal: null | {recording: string};
  /** By name: action, kind, kubernetes, kubectl, helm, operator, istio. Null: not requested, or unknown. */
  versions: Record<string, {asked: string | null; found: string | null}>;
  /** Unsupported combinations, one sentence each, for example a Kubernetes version that Istio does not support. */
  warnings: string[];
  /** The inputs that have a value. YAML inputs are digests, because they may hold credentials. */
  inputs: Record<string, string>;
  cluster: {
    kind: 'kind' | 'existing';
    name: string;
    context: string | null;
    ipFamilies: Family[];
  } | null;
  /** Start time in ISO 8601. */
  started: string;
  seconds: number;
  phases: PhaseResult[];
  checks: CheckResult[];
}

/** Whether the check passed, at the first attempt or after a retry. */
export const isPassing = (check: CheckResult): boolean =>
  check.verdict === 'passed' || check.verdict === 'flaky';
