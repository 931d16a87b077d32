/** Arranges the phases in time. */
import type {PhaseResult, Results} from '../results/results.ts';
import {sanitizeLine} from './words.ts';

export interface TimelineBar {
  name: string;
  status: PhaseResult['status'];
  at: number;
  seconds: number;
  critical: boolean;
}

/** Returns the started phases by start time, and marks those on the critical path. */
export function buildTimeline(results: Results): TimelineBar[] {
  const critical = new Set(findCriticalPath(results.phases));
  return filterStarted(results.phases)
    .map(({name, status, at, seconds}) => ({
      name: sanitizeLine(name, 60),
      status,
      at,
      seconds,
      critical: critical.has(name)
    }))
    .sort((one, other) => one.at - other.at);
}

/** Returns the names on the critical path: each phase is the last-ended need of the next one. */
export function findCriticalPath(phases: PhaseResult[]): string[] {
  const byName = new Map(filterStarted(phases).map(phase => [phase.name, phase]));
  const path = new Set<string>();
  let phase = findLastEnded([...byName.values()]);
  while (phase && !path.has(phase.name)) {
    path.add(phase.name);
    phase = findLastEnded(phase.needs.flatMap(name => byName.get(name) ?? []));
  }
  return [...path].reverse();
}

type StartedPhase = PhaseResult & {at: number};

const filterStarted = (phases: PhaseResult[]): StartedPhase[] =>
  phases.filter((phase): phase is StartedPhase => phase.at !== null);

const findLastEnded = (phases: StartedPhase[]): StartedPhase | undefined =>
  phases.reduce<StartedPhase | undefined>(
    (last, phase) => (last && last.at + last.seconds >= phase.at + phase.seconds ? last : phase),
    undefined
  );

/** Returns the longest waits, at most `most`. */
export const findLongestWaits = (
  results: Results,
  most = 5
): {phase: string; for: string; seconds: number}[] =>
  results.phases
    .flatMap(({name, waits}) => waits.map(wait => ({phase: sanitizeLine(name, 60), ...wait})))
    .sort((one, other) => other.seconds - one.seconds)
    .slice(0, most);
