/** Finds or downloads the Sail Operator's chart, verifies and reads it. */
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

/** Finds or downloads the chart, verifies its digest, reads it, and writes its CRDs to `directory`. Throws a Fault. */
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
      `Invalid \`${given === null ? 'operator-version' : 'operator-chart'}\` "${redactUrl(given ?? file)}": expected a readable chart of the Sail Operator, a directory or a .tgz (${error.message})`
    );
  }
}

/** The text of `versions.yaml` in the checkout that contains the chart's directory; empty if there is none. */
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
 * Writes the CRDs that Helm shows. Resolves to their directory. The archive is never unpacked here: its members may be
 * links to anywhere, or fill the disk.
 */
async function writeCrds(crds: string, directory: string): Promise<string> {
  const own = path.join(directory, 'sail-operator', 'crds');
  await ensureDirectory(path.dirname(own), 0o700);
  await ensureDirectory(own, 0o700);
  await replaceFile(path.join(own, 'crds.yaml'), crds, 0o600);
  return own;
}

/** Separates the CRDs by `---`: Helm 3 prints the files without separators, so 20 CRDs parse as 6 documents. */
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
  if (wanted.sha256 === null)
    logLine(work.clock(), 'chart', `not verified, because no digest is known: SHA-256 ${found}`);
  return {file, url: wanted.url};
}

/** Splits a URL from the expected digest that it may end with, `#sha256:…`. */
function splitDigest(given: string): {url: string; sha256: string | null} {
  const [url = '', sum] = given.split('#sha256:');
  return {url, sha256: sum ?? null};
}

/** Errors of curl that a retry may pass (curl.se/docs/manpage.html, EXIT CODES). */
const transientErrorPattern = /curl: \((5|6|7|18|28|35|52|55|56|92)\)|\b(408|429|50[0234])\b/;

/** In bytes; a released chart has 100 KB. */
const maxChartBytes = 50_000_000;

/** Whether the download exceeded its limit: curl reports an announced size, and a signal ends it silently otherwise. */
const isTooLarge = ({code, stderr}: CommandOutput): boolean =>
  /curl: \(63\)/.test(stderr) || (code !== 0 && stderr === '');

/** Downloads the chart, with up to two retries after a network error. Resolves to its path. Throws a Fault. */
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
        ? `it has more than ${maxChartBytes} bytes, too many for a chart`
        : output.stderr.trim();
      if (transientErrorPattern.test(reason) && retriesLeft-- > 0)
        return {
          is: 'waiting',
          for: `a retry of the chart download, after: ${redact(reason).slice(-300)}`
        };
      const fault = new Fault(
        `the chart ${redactUrl(url)} could not be downloaded: ${reason.slice(-1500)}`,
        {
          class: 'infrastructure',
          layer: 'runner',
          hint: 'Check that the runner can reach that host. Set `operator-chart` to use a local chart, or `mirror` to download from another host.',
          reproduce: `curl -fsSLO ${quote(redactUrl(url))}`
        }
      );
      return {is: 'lost', fault};
    },
    {every: 2}
  );
}

/** The URL and digest of a released chart. A digest known to this Action takes precedence over the index. */
async function resolveReleasedChart({'operator-version': requested, mirror}: ChartInputs) {
  const exact = valid(requested) !== null;
  const knownDigests = isHeldToPins(mirror) ? chartDigests : {};
  if (exact && knownDigests[requested] !== undefined)
    return {url: getChartUrl(requested), sha256: knownDigests[requested]};
  const published = await readChartIndex(mirror);
  const version = resolveOperatorVersion(requested, Object.keys(published));
  return {url: getChartUrl(version), sha256: knownDigests[version] ?? published[version] ?? null};
}

/** Version → digest from the Helm repository, or from this Action if the repository is unreachable or invalid. */
async function readChartIndex(mirror: string | null): Promise<Record<string, string>> {
  const url = getMirroredUrl(chartIndex, mirror);
  const useKnownCharts = (why: string) => {
    logLine(0, 'chart', `${why}; using the releases known to this version of the Action`);
    return chartDigests;
  };
  try {
    return (
      parseChartIndex(await downloadText(url)) ??
      useKnownCharts(`${redactUrl(url)} is not an index of charts`)
    );
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return useKnownCharts(error.message);
  }
}

/** Null if the text is not an index: a proxy may return an error page. Omits releases without a digest. */
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
