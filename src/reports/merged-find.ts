/** Finds results.json files below a directory. Artifacts are untrusted: no link is followed, and sizes are limited. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import published from '../../schema/report.schema.json' with {type: 'json'};
import {files} from '../results/files.ts';
import type {CellResult, Merged} from '../results/merged.ts';
import {
  maxResultsBytes,
  parseJson,
  readResults,
  readWithSchema,
  UnreadableResultsError
} from '../results/read.ts';
import type {FoundResults} from './merged-cells.ts';

/** GitHub allows 256 jobs in a matrix; this allows several matrices. `bytes` fits into a runner's memory. */
const limits = {depth: 5, entries: 100_000, cells: 4096, bytes: 1024 * 1024 * 1024};

export interface FoundReports {
  cells: FoundResults[];
  /** Cells from reports of an earlier run. */
  reported: CellResult[];
}

/** Returns every results.json below the directory, by folder. A missing directory has none. */
export function findResults(directory: string): FoundReports {
  const found: FoundReports = {cells: [], reported: []};
  let bytes = 0;
  for (const folder of listResultFolders(directory)) {
    const name = path.relative(directory, folder);
    try {
      if (found.cells.length >= limits.cells)
        throw new UnreadableResultsError(`there are more than ${limits.cells} results`);
      const json = readFile(path.join(folder, files.results), limits.bytes - bytes);
      bytes += json.length;
      const parsed = parseJson(json);
      if (isReport(parsed)) found.reported.push(...readWithSchema<Merged>(parsed, published).cells);
      else found.cells.push({directory: name, results: readResults(json), problem: ''});
    } catch (error) {
      found.cells.push({directory: name, results: null, problem: describeProblem(error)});
    }
  }
  return found;
}

const isReport = (parsed: unknown): boolean =>
  typeof parsed === 'object' && parsed !== null && Array.isArray((parsed as Merged).cells);

function describeProblem(error: unknown): string {
  if (error instanceof UnreadableResultsError) return error.message;
  const {code} = error as NodeJS.ErrnoException;
  return code === 'ELOOP' ? 'it is a link' : (code ?? String(error));
}

/** Returns the folders with a results.json. */
function listResultFolders(directory: string): string[] {
  const folders: string[] = [];
  let left = limits.entries;
  const walk = (folder: string, depth: number) => {
    const entries = listEntries(folder).sort((one, other) => (one.name < other.name ? -1 : 1));
    left -= entries.length;
    if (entries.some(entry => entry.name === files.results && !entry.isDirectory()))
      folders.push(folder);
    for (const entry of entries)
      if (
        entry.isDirectory() &&
        depth < limits.depth &&
        left > 0 &&
        entry.name !== files.diagnostics
      )
        walk(path.join(folder, entry.name), depth + 1);
  };
  walk(directory, 0);
  return folders;
}

function listEntries(folder: string): fs.Dirent[] {
  try {
    return fs.readdirSync(folder, {withFileTypes: true});
  } catch {
    return [];
  }
}

/** Reads a regular file of at most `left` bytes. Throws UnreadableResultsError for other files. */
function readFile(file: string, left: number): string {
  const {O_RDONLY, O_NOFOLLOW, O_NONBLOCK} = fs.constants;
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK); // follows no link, and does not wait for a pipe
  try {
    const {size} = fs.fstatSync(descriptor);
    if (!fs.fstatSync(descriptor).isFile())
      throw new UnreadableResultsError('it is not a regular file');
    if (size > maxResultsBytes)
      throw new UnreadableResultsError(`it is longer than ${maxResultsBytes / 1024 / 1024} MiB`);
    if (size > left) throw new UnreadableResultsError('all results together are too long');
    return fs.readFileSync(descriptor, 'utf8');
  } finally {
    fs.closeSync(descriptor);
  }
}
