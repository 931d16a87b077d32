import {echo} from './echo.ts';
import {network} from './network.ts';
import {path} from './path.ts';
import type {Row} from './row.ts';
import {runner} from './runner.ts';
import {service} from './service.ts';

export type {Row} from './row.ts';

/** Made before the cluster; a failure ends the run. */
export const preflights = [runner, network];

/** Made once the samples are ready. */
export const meshChecks = [service, echo, path];

/** Every check, from the ground up. */
export const catalogue: Row[] = [...preflights, ...meshChecks].flatMap(({rows}) => rows);

/** The checks that the `checks` input asks for. */
export function rowsOf(pattern: {matches: RegExp; leaveOut: boolean} | null): Row[] {
  return catalogue.filter(
    ({id}) => pattern === null || pattern.matches.test(id) !== pattern.leaveOut
  );
}
