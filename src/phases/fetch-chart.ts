import * as path from 'node:path';
import {valid} from 'semver';
import {quote} from 'shlex';
import {buildCurlCommand, maxCurlFileBytes} from '../base/curl.ts';
import {
  createChecksumFault,
  downloadText,
  getMirroredUrl,
  isHeldToPins,
  redactUrl
} from '../base/download.ts';
import {createInputFault, Fault} from '../base/fault.ts';
import {logLine, redact} from '../base/log.ts';
import {ensureDirectory, replaceFile} from '../base/safe-fs.ts';
import type {PhaseContext} from '../base/schedule.ts';
import {CommandError, type CommandOutput, runOrThrow, type Sh} from '../base/sh.ts';
import {pollUntil} from '../base/wait.ts';
import {readYaml, YamlError} from '../base/yaml.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {readText} from '../inputs/readers.ts';
import {resolveOperatorVersion} from '../versions/operator-versions.ts';
import {chartDigests, chartIndex, getChartUrl} from '../versions/pins.ts';
import {type Chart, ChartError, readChart} from '../versions/read-chart.ts';

type ChartInputs = Pick<Inputs, 'operator-version' | 'operator-chart' | 'mirror'>;

/** Finds or fetches the chart, holds it to its digest, and reads it; its CRDs are in `directory` then. */
export async function provideChart(
  inputs: ChartInputs,
  directory: string,
  work: PhaseContext,
  sh: Sh
): Promise<Chart> {
  const {file, url} = await locateChart(inputs, directory, work, sh);
  try {
    const [about = '', values = '', shown = ''] = await Promise.all(
      ['chart', 'values', 'crds'].map(what =>
        runOrThrow(sh, ['helm', 'show', what, file], {seconds: 60})
      )
    );
    const crds = separateCrds(shown);
    const chart = readChart(about, values, crds, url === null ? readSiblingVersions(file) : '');
    return {path: file, url, crds: await writeCrds(crds, directory), ...chart};
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const given = inputs['operator-chart'];
    if (given === null && error instanceof CommandError) throw error;
    throw createInputFault(
      `${given === null ? 'operator-version' : 'operator-chart'}: found "${redactUrl(given ?? file)}", which cannot be read; accepted is a chart of the Sail Operator, a directory or a .tgz (${error.message})`
    );
  }
}

/** The text of `versions.yaml` in the checkout that a chart's directory lies in; nothing where there is none. */
function readSiblingVersions(chart: string): string {
  try {
    return readText(path.join(chart, '..', 'pkg', 'istioversion', 'versions.yaml'), '');
  } catch {
    return '';
  }
}

const isUnreadable = (error: unknown): error is Error =>
  [CommandError, ChartError, YamlError].some(kind => error instanceof kind);

/**
 * The directory with the CRDs, as Helm shows them: an archive is never unpacked here, for its members may be links
 * that lead anywhere, or more than the disk holds.
 */
async function writeCrds(crds: string, directory: string): Promise<string> {
  const own = path.join(directory, 'sail-operator', 'crds');
  await ensureDirectory(path.dirname(own), 0o700);
  await ensureDirectory(own, 0o700);
  await replaceFile(path.join(own, 'crds.yaml'), crds, 0o600);
  return own;
}

/** Helm 3 writes a chart's CRD files one after the other, with nothing between them: 20 CRDs read as 6 documents. */
export const separateCrds = (crds: string): string =>
  crds.replace(/^(?:---\n)?apiVersion:/gm, '---\napiVersion:');

async function locateChart(inputs: ChartInputs, directory: string, work: PhaseContext, sh: Sh) {
  const given = inputs['operator-chart'];
  if (given !== null && !given.includes('://')) return {file: given, url: null};
  const wanted = given === null ? await resolveReleasedChart(inputs) : splitDigest(given);
  const url = getMirroredUrl(wanted.url, inputs.mirror);
  const file = await downloadChart(url, directory, work, sh);
  const [found = ''] = (await runOrThrow(sh, ['sha256sum', file])).split(/\s/);
  if (wanted.sha256 !== null && found !== wanted.sha256)
    throw createChecksumFault(url, wanted.sha256, found);
  if (wanted.sha256 === null) logLine(work.clock(), 'chart', `taken as it came, SHA-256 ${found}`);
  return {file, url: wanted.url};
}

/** A URL may end with the digest that is expected, `#sha256:…`. */
function splitDigest(given: string): {url: string; sha256: string | null} {
  const [url = '', sum] = given.split('#sha256:');
  return {url, sha256: sum ?? null};
}

/** What the network may answer better a moment later, as curl says it (curl.se/docs/manpage.html, EXIT CODES). */
const transientErrorPattern = /curl: \((5|6|7|18|28|35|52|55|56|92)\)|\b(408|429|50[0234])\b/;

/** In bytes; a chart of ours has 100 KB. */
const maxChartBytes = 50_000_000;

/** Of curl, where it was told the size beforehand; and by its own end, where it wrote more. */
const isTooLarge = ({code, stderr}: CommandOutput): boolean =>
  /curl: \(63\)/.test(stderr) || (code !== 0 && stderr === '');

/** Fetches the chart; tries up to three times, each shown, where the network is to blame. */
async function downloadChart(
  url: string,
  directory: string,
  work: PhaseContext,
  sh: Sh
): Promise<string> {
  const file = path.join(directory, path.basename(new URL(url).pathname));
  let retriesLeft = 2;
  return pollUntil(
    work,
    async () => {
      const output = await sh(
        buildCurlCommand(url, file, {maxBytes: maxChartBytes, seconds: 110}),
        {
          seconds: 120,
          file: maxCurlFileBytes
        }
      );
      if (output.code === 0) return {is: 'done', value: file};
      const reason = isTooLarge(output)
        ? `it is larger than any chart, with more than ${maxChartBytes} bytes`
        : output.stderr.trim();
      if (transientErrorPattern.test(reason) && retriesLeft-- > 0)
        return {
          is: 'waiting',
          for: `another try to fetch the chart, after: ${redact(reason).slice(-300)}`
        };
      const fault = new Fault(
        `the chart ${redactUrl(url)} could not be fetched: ${reason.slice(-1500)}`,
        {
          class: 'infrastructure',
          layer: 'runner',
          hint: 'See whether the runner reaches that host; `operator-chart` takes a chart that is here already, `mirror` another place to fetch from.',
          reproduce: `curl -fsSLO ${quote(redactUrl(url))}`
        }
      );
      return {is: 'lost', fault};
    },
    {every: 2}
  );
}

/** The URL and digest of a released chart; ours where we know it, whatever an index says. */
async function resolveReleasedChart({'operator-version': requested, mirror}: ChartInputs) {
  const exact = valid(requested) !== null;
  const knownDigests = isHeldToPins(mirror) ? chartDigests : {};
  if (exact && knownDigests[requested] !== undefined)
    return {url: getChartUrl(requested), sha256: knownDigests[requested]};
  const published = await readChartIndex(mirror);
  const version = resolveOperatorVersion(requested, Object.keys(published));
  return {url: getChartUrl(version), sha256: knownDigests[version] ?? published[version] ?? null};
}

/** Version → digest, from the Helm repository; what we carry where it cannot be reached, or is none. */
async function readChartIndex(mirror: string | null): Promise<Record<string, string>> {
  const url = getMirroredUrl(chartIndex, mirror);
  const useKnownCharts = (why: string) => {
    logLine(0, 'chart', `${why}; going by the releases known to this version of the Action`);
    return chartDigests;
  };
  try {
    return (
      parseChartIndex(await downloadText(url)) ??
      useKnownCharts(`${redactUrl(url)} is no index of charts`)
    );
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return useKnownCharts(error.message);
  }
}

/** Null where the text is none: a proxy may answer with a page of its own. A release without a digest is left out. */
function parseChartIndex(text: string): Record<string, string> | null {
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
