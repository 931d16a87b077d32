/** results.json: the one source of every report. Its names are promised; a later schema only adds. */
export const schema = 1;

export type Family = 'ipv4' | 'ipv6';

export const families: Family[] = ['ipv4', 'ipv6'];

/** As people write them. */
export const familyNames: Record<Family, string> = {ipv4: 'IPv4', ipv6: 'IPv6'};

/** From the ground up. The first layer that does not hold is the broken one. */
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

/** `failed`: a check failed. `error`: the checks could not be reached. */
export type Result = 'passed' | 'failed' | 'error';

/** `flaky` passed on a retry: counted as passed, and shown. */
export type Verdict = 'passed' | 'failed' | 'skipped' | 'flaky';

export interface Failure {
  class: FailureClass;
  layer: Layer | null;
  /** Id of the broken check; null where none was reached. */
  check: string | null;
  /** What was expected and what was found, in one sentence; of several bad inputs, a line each. */
  message: string;
  /** What a person can do next. */
  hint: string;
  /** What is broken, in a few words: the first line of every report. */
  headline?: string;
  /** The phase that failed, where it was one. */
  phase?: string;
  /** The command that shows it by hand, where there is one. */
  reproduce?: string | null;
}

/** Where a check looks from or at, in Kubernetes' words. */
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

/** What a client saw of one family over a stretch of time in which it asked all the while. */
export interface Load {
  /** `new`: a connection for each probe; `held`: one connection for all, opened anew only when it was cut. */
  connections: 'new' | 'held';
  sent: number;
  /** Of those, how many were not answered. */
  failed: number;
  /** How often the held connection ended. */
  cut: number;
  /** The longest time without an answer, in milliseconds. */
  longestGap: number;
}

export interface CheckResult {
  /** `layer/target/aspect`, the same from run to run. */
  id: string;
  layer: Layer;
  title: string;
  family: Family | null;
  stage: 'install' | 'upgrade';
  from: Place | null;
  to: Place | null;
  /** The grid's row. */
  target: string;
  /** The address asked, as given to the client; null where nothing was connected to. */
  address: string | null;
  /** The address that the connection really took, where it could be seen. */
  upstream: string | null;
  expected: string;
  observed: string;
  verdict: Verdict;
  /** Why it failed or was skipped; null when it passed. */
  reason: string | null;
  /** Id of the broken check that this failure follows from. */
  because: string | null;
  attempts: Attempt[];
  /** The command that shows it by hand; null where there is none. */
  reproduce: string | null;
  /** The row of the grid that it is shown in, with its target's name where `named`; absent: in none. */
  grid?: {title: string; named: boolean};
  /** Only of a check under load: what it counted. */
  load?: Load;
  /** Only of a failed one: whose fault it is. */
  class?: FailureClass;
  /** Only of a failed one: what a person can do next. */
  hint?: string;
}

export interface PhaseResult {
  name: string;
  status: 'passed' | 'failed' | 'skipped' | 'cancelled';
  needs: string[];
  /** Seconds since the start of the run; null when it was never started. */
  at: number | null;
  seconds: number;
  /** What it was waiting for, and how long. */
  waits: {for: string; seconds: number}[];
}

export interface Results {
  schema: typeof schema;
  result: Result;
  failure: Failure | null;
  /** Null where GitHub does not tell. */
  run: {
    id: string | null;
    attempt: string | null;
    url: string | null;
    sha: string | null;
  };
  rehearsal: null | {recording: string};
  /** By name: action, kind, kubernetes, kubectl, helm, operator, istio. Null: not asked for, or not found out. */
  versions: Record<string, {asked: string | null; found: string | null}>;
  /** What does not fit together, each in a sentence: a Kubernetes that the Istio version does not support. */
  warnings: string[];
  /** Those that were given; YAML ones as a digest, for they may hold credentials. */
  inputs: Record<string, string>;
  cluster: {
    kind: 'kind' | 'existing';
    name: string;
    context: string | null;
    ipFamilies: Family[];
  } | null;
  /** ISO 8601 time of the start. */
  started: string;
  seconds: number;
  phases: PhaseResult[];
  checks: CheckResult[];
}

/** True when the check holds, at the first try or a later one. */
export const isPassing = (check: CheckResult): boolean =>
  check.verdict === 'passed' || check.verdict === 'flaky';
