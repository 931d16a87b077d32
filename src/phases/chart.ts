import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import {valid} from 'semver';
import {parse} from 'yaml';
import {downloadText, mirrored, wrongChecksum} from '../base/download.ts';
import {badInput, Fault} from '../base/fault.ts';
import {redact, say} from '../base/log.ts';
import type {Work} from '../base/schedule.ts';
import {CommandError, must, type Sh} from '../base/sh.ts';
import {until} from '../base/wait.ts';
import type {Inputs} from '../inputs/inputs.ts';
import {type Chart, readChart} from '../versions/chart.ts';
import {chooseOperator} from '../versions/operator.ts';
import {chartIndex, charts, chartUrl} from '../versions/pins.ts';

type ChartInputs = Pick<Inputs, 'operator-version' | 'operator-chart' | 'mirror'>;

/** Finds or fetches the chart, holds it to its digest, and reads it. */
export async function provideChart(
  inputs: ChartInputs,
  directory: string,
  work: Work,
  sh: Sh
): Promise<Chart> {
  const {file, url} = await locate(inputs, directory, work, sh);
  const archive = url !== null || !(await isDirectory(file));
  try {
    const [about, values] = await Promise.all([
      must(sh, ['helm', 'show', 'chart', file], {seconds: 60}),
      must(sh, ['helm', 'show', 'values', file], {seconds: 60}),
      archive ? must(sh, ['tar', '--extract', '--file', file, '--directory', directory]) : null
    ]);
    const {name} = parse(about) as {name: string};
    const crds = path.join(archive ? path.join(directory, name) : file, 'crds');
    const [api, checkout] = await Promise.all([
      textOf(path.join(crds, 'sailoperator.io_istios.yaml')),
      archive ? '' : textOf(path.join(file, '..', 'pkg', 'istioversion', 'versions.yaml'))
    ]);
    const chart = readChart(about, values, api, checkout);
    return {path: file, url, crds, ...chart};
  } catch (error) {
    const given = inputs['operator-chart'];
    if (!(error instanceof CommandError) || given === null) throw error;
    throw badInput(
      `operator-chart: found "${given}", which Helm cannot read; accepted is a chart of the Sail Operator, a directory or a .tgz (${error.message})`
    );
  }
}

/** A file's text; nothing where there is none. */
const textOf = async (file: string): Promise<string> => fs.readFile(file, 'utf8').catch(() => '');

const isDirectory = async (file: string): Promise<boolean> =>
  (await fs.stat(file).catch(() => null))?.isDirectory() ?? false;

async function locate(inputs: ChartInputs, directory: string, work: Work, sh: Sh) {
  const given = inputs['operator-chart'];
  if (given !== null && !given.includes('://')) return {file: given, url: null};
  const wanted = given === null ? await released(inputs) : {url: given, sha256: null};
  const url = mirrored(wanted.url, inputs.mirror);
  const file = await pull(url, directory, work, sh);
  const [found = ''] = (await must(sh, ['sha256sum', file])).split(/\s/);
  if (wanted.sha256 !== null && found !== wanted.sha256)
    throw wrongChecksum(url, wanted.sha256, found);
  return {file, url: wanted.url};
}

/** What the network may answer better a moment later. */
const passing = /time(d )?out|reset|refused|EOF|temporary|no such host|\b(429|50[0234])\b/i;

/** Fetches the chart; tries up to three times, each shown, where the network is to blame. */
async function pull(url: string, directory: string, work: Work, sh: Sh): Promise<string> {
  let again = 2;
  return until(
    work,
    async () => {
      const output = await sh(['helm', 'pull', url, '--destination', directory], {seconds: 120});
      if (output.code === 0)
        return {is: 'done', value: path.join(directory, path.basename(new URL(url).pathname))};
      const said = output.stderr.trim();
      if (passing.test(said) && again-- > 0)
        return {
          is: 'waiting',
          for: `another try to fetch the chart, after: ${redact(said).slice(-300)}`
        };
      const fault = new Fault(`the chart ${url} could not be fetched: ${said}`, {
        class: 'infrastructure',
        layer: 'runner',
        hint: 'See whether the runner reaches that host; `operator-chart` takes a chart that is here already, `mirror` another place to fetch from.',
        reproduce: `helm pull ${url}`
      });
      return {is: 'lost', fault};
    },
    {every: 2}
  );
}

/** The URL and digest of a released chart. */
async function released({'operator-version': asked, mirror}: ChartInputs) {
  const exact = valid(asked) !== null;
  const known = exact && mirror === null ? charts[asked] : undefined;
  if (known !== undefined) return {url: chartUrl(asked), sha256: known};
  const published = await readIndex(mirror);
  const version = chooseOperator(asked, Object.keys(published));
  return {url: chartUrl(version), sha256: published[version] ?? null};
}

/** Version → digest, from the Helm repository; what we carry where it cannot be reached. */
async function readIndex(mirror: string | null): Promise<Record<string, string>> {
  const url = mirrored(chartIndex, mirror);
  try {
    const {entries} = parse(await downloadText(url)) as {
      entries: Record<string, {version: string; digest: string}[]>;
    };
    const releases = entries['sail-operator'] ?? [];
    return Object.fromEntries(releases.map(({version, digest}) => [version, digest]));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    say(0, 'chart', `${error.message}; going by the releases known to this version of the Action`);
    return charts;
  }
}
