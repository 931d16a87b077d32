import * as path from 'node:path';
import {valid} from 'semver';
import {quote} from 'shlex';
import {curl, mostWritten} from '../base/curl.ts';
import {downloadText, holdsPins, mirrored, shownUrl, wrongChecksum} from '../base/download.ts';
import {badInput, Fault} from '../base/fault.ts';
import {logLine, redact} from '../base/log.ts';
import {ownDirectory, writeAnew} from '../base/safe-fs.ts';
import type {Work} from '../base/schedule.ts';
import {CommandError, type Output, runOrThrow, type Sh} from '../base/sh.ts';
import {pollUntil} from '../base/wait.ts';
import {readYaml, YamlError} from '../base/yaml.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {readText} from '../inputs/readers.ts';
import {chooseOperator} from '../versions/operator-versions.ts';
import {chartIndex, charts, chartUrl} from '../versions/pins.ts';
import {type Chart, OddChart, readChart} from '../versions/read-chart.ts';

type ChartInputs = Pick<Inputs, 'operator-version' | 'operator-chart' | 'mirror'>;

/** Finds or fetches the chart, holds it to its digest, and reads it; its CRDs are in `directory` then. */
export async function provideChart(
  inputs: ChartInputs,
  directory: string,
  work: Work,
  sh: Sh
): Promise<Chart> {
  const {file, url} = await locate(inputs, directory, work, sh);
  try {
    const [about = '', values = '', shown = ''] = await Promise.all(
      ['chart', 'values', 'crds'].map(what =>
        runOrThrow(sh, ['helm', 'show', what, file], {seconds: 60})
      )
    );
    const crds = separated(shown);
    const chart = readChart(about, values, crds, url === null ? versionsBeside(file) : '');
    return {path: file, url, crds: await keepCrds(crds, directory), ...chart};
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const given = inputs['operator-chart'];
    if (given === null && error instanceof CommandError) throw error;
    throw badInput(
      `${given === null ? 'operator-version' : 'operator-chart'}: found "${shownUrl(given ?? file)}", which cannot be read; accepted is a chart of the Sail Operator, a directory or a .tgz (${error.message})`
    );
  }
}

/** The text of `versions.yaml` in the checkout that a chart's directory lies in; nothing where there is none. */
function versionsBeside(chart: string): string {
  try {
    return readText(path.join(chart, '..', 'pkg', 'istioversion', 'versions.yaml'), '');
  } catch {
    return '';
  }
}

const isUnreadable = (error: unknown): error is Error =>
  [CommandError, OddChart, YamlError].some(kind => error instanceof kind);

/**
 * The directory with the CRDs, as Helm shows them: an archive is never unpacked here, for its members may be links
 * that lead anywhere, or more than the disk holds.
 */
async function keepCrds(crds: string, directory: string): Promise<string> {
  const own = path.join(directory, 'sail-operator', 'crds');
  await ownDirectory(path.dirname(own), 0o700);
  await ownDirectory(own, 0o700);
  await writeAnew(path.join(own, 'crds.yaml'), crds, 0o600);
  return own;
}

/** Helm 3 writes a chart's CRD files one after the other, with nothing between them: 20 CRDs read as 6 documents. */
export const separated = (crds: string): string =>
  crds.replace(/^(?:---\n)?apiVersion:/gm, '---\napiVersion:');

async function locate(inputs: ChartInputs, directory: string, work: Work, sh: Sh) {
  const given = inputs['operator-chart'];
  if (given !== null && !given.includes('://')) return {file: given, url: null};
  const wanted = given === null ? await released(inputs) : splitDigest(given);
  const url = mirrored(wanted.url, inputs.mirror);
  const file = await pull(url, directory, work, sh);
  const [found = ''] = (await runOrThrow(sh, ['sha256sum', file])).split(/\s/);
  if (wanted.sha256 !== null && found !== wanted.sha256)
    throw wrongChecksum(url, wanted.sha256, found);
  if (wanted.sha256 === null) logLine(work.clock(), 'chart', `taken as it came, SHA-256 ${found}`);
  return {file, url: wanted.url};
}

/** A URL may end with the digest that is expected, `#sha256:…`. */
function splitDigest(given: string): {url: string; sha256: string | null} {
  const [url = '', sum] = given.split('#sha256:');
  return {url, sha256: sum ?? null};
}

/** What the network may answer better a moment later, as curl says it (curl.se/docs/manpage.html, EXIT CODES). */
const passing = /curl: \((5|6|7|18|28|35|52|55|56|92)\)|\b(408|429|50[0234])\b/;

/** In bytes; a chart of ours has 100 KB. */
const most = 50_000_000;

/** Of curl, where it was told the size beforehand; and by its own end, where it wrote more. */
const tooLarge = ({code, stderr}: Output): boolean =>
  /curl: \(63\)/.test(stderr) || (code !== 0 && stderr === '');

/** Fetches the chart; tries up to three times, each shown, where the network is to blame. */
async function pull(url: string, directory: string, work: Work, sh: Sh): Promise<string> {
  const file = path.join(directory, path.basename(new URL(url).pathname));
  let again = 2;
  return pollUntil(
    work,
    async () => {
      const output = await sh(curl(url, file, {most, seconds: 110}), {
        seconds: 120,
        file: mostWritten
      });
      if (output.code === 0) return {is: 'done', value: file};
      const said = tooLarge(output)
        ? `it is larger than any chart, with more than ${most} bytes`
        : output.stderr.trim();
      if (passing.test(said) && again-- > 0)
        return {
          is: 'waiting',
          for: `another try to fetch the chart, after: ${redact(said).slice(-300)}`
        };
      const fault = new Fault(
        `the chart ${shownUrl(url)} could not be fetched: ${said.slice(-1500)}`,
        {
          class: 'infrastructure',
          layer: 'runner',
          hint: 'See whether the runner reaches that host; `operator-chart` takes a chart that is here already, `mirror` another place to fetch from.',
          reproduce: `curl -fsSLO ${quote(shownUrl(url))}`
        }
      );
      return {is: 'lost', fault};
    },
    {every: 2}
  );
}

/** The URL and digest of a released chart; ours where we know it, whatever an index says. */
async function released({'operator-version': asked, mirror}: ChartInputs) {
  const exact = valid(asked) !== null;
  const known = holdsPins(mirror) ? charts : {};
  if (exact && known[asked] !== undefined) return {url: chartUrl(asked), sha256: known[asked]};
  const published = await readIndex(mirror);
  const version = chooseOperator(asked, Object.keys(published));
  return {url: chartUrl(version), sha256: known[version] ?? published[version] ?? null};
}

/** Version → digest, from the Helm repository; what we carry where it cannot be reached, or is none. */
async function readIndex(mirror: string | null): Promise<Record<string, string>> {
  const url = mirrored(chartIndex, mirror);
  const withoutIt = (why: string) => {
    logLine(0, 'chart', `${why}; going by the releases known to this version of the Action`);
    return charts;
  };
  try {
    return (
      parseIndex(await downloadText(url)) ?? withoutIt(`${shownUrl(url)} is no index of charts`)
    );
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return withoutIt(error.message);
  }
}

/** Null where the text is none: a proxy may answer with a page of its own. A release without a digest is left out. */
function parseIndex(text: string): Record<string, string> | null {
  let index: unknown;
  try {
    index = readYaml(text);
  } catch (error) {
    if (error instanceof YamlError) return null;
    throw error;
  }
  const releases = (index as {entries?: Record<string, unknown>} | null)?.entries?.[
    'sail-operator'
  ];
  if (!Array.isArray(releases)) return null;
  const found = releases.filter(
    (release): release is {version: string; digest: string} =>
      typeof release?.digest === 'string' &&
      /^[0-9a-f]{64}$/.test(release.digest) &&
      valid(release.version) === release.version
  );
  return Object.fromEntries(found.map(({version, digest}) => [version, digest]));
}
