import {curl, mostWritten} from '../base/curl.ts';
import {mirrored, shownUrl} from '../base/download.ts';
import {published, releaseOf} from '../versions/pins.ts';
import {type Checking, type Finding, skip} from './row.ts';

/** What Istio publishes with the release that is installed; nothing of a run depends on it, so that it goes on without. */

/** A runner that reaches nothing is to lose little by it; of bytes, the largest has a fiftieth. */
const bounds = {toConnect: 3, seconds: 10, most: 1_000_000};

/** Fetches a file; to standard output where no `output` is named. */
export const fetchCommand = (url: string, output: string | null = null): string[] =>
  curl(url, output, bounds);

interface Fetched {
  url: string;
  text: string;
}

/** What was fetched, or why a check cannot be made without it. */
export async function fetchPublished(
  {plan, sh, mirror}: Checking,
  what: keyof typeof published,
  output: string | null = null
): Promise<Fetched | Finding> {
  const release = releaseOf(plan.istio.expected);
  if (release === null)
    return skip(`${plan.istio.expected ?? 'what is installed'} is no release of Istio`);
  const url = mirrored(published[what](release), mirror);
  const limits = {seconds: 2 * bounds.seconds, file: mostWritten};
  const {code, stdout, stderr} = await sh(fetchCommand(url, output), limits);
  return code === 0
    ? {url: shownUrl(url), text: stdout}
    : skip(
        `${shownUrl(url)} could not be fetched: ${stderr.trim().slice(-300) || 'curl was ended'}`
      );
}
