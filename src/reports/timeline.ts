import type {PhaseResult, Results} from '../results/results.ts';
import {line} from './words.ts';

/** The phases in time. Pure. */

export interface Bar {
  name: string;
  status: PhaseResult['status'];
  at: number;
  seconds: number;
  critical: boolean;
}

/** The phases that were started, by their start, those that made the run as long as it was marked. */
export function timeline(results: Results): Bar[] {
  const critical = new Set(criticalPath(results.phases));
  return started(results.phases)
    .map(({name, status, at, seconds}) => ({
      name: line(name, 60),
      status,
      at,
      seconds,
      critical: critical.has(name)
    }))
    .sort((one, other) => one.at - other.at);
}

/** Names from the first phase to the one that ended last, each the need that kept the next waiting. */
export function criticalPath(phases: PhaseResult[]): string[] {
  const byName = new Map(started(phases).map(phase => [phase.name, phase]));
  const path = new Set<string>();
  let phase = endedLast([...byName.values()]);
  while (phase && !path.has(phase.name)) {
    path.add(phase.name);
    phase = endedLast(phase.needs.flatMap(name => byName.get(name) ?? []));
  }
  return [...path].reverse();
}

type Started = PhaseResult & {at: number};

const started = (phases: PhaseResult[]): Started[] =>
  phases.filter((phase): phase is Started => phase.at !== null);

const endedLast = (phases: Started[]): Started | undefined =>
  phases.reduce<Started | undefined>(
    (last, phase) => (last && last.at + last.seconds >= phase.at + phase.seconds ? last : phase),
    undefined
  );

/** What was waited for longest, at most so many. */
export const longestWaits = (
  results: Results,
  most = 5
): {phase: string; for: string; seconds: number}[] =>
  results.phases
    .flatMap(({name, waits}) => waits.map(wait => ({phase: line(name, 60), ...wait})))
    .sort((one, other) => other.seconds - one.seconds)
    .slice(0, most);
