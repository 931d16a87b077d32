/** Reads the inputs of the matrix action. */
import * as core from '@actions/core';
import {findUrlSecrets} from '../base/download.ts';
import {createInputFault} from '../base/fault.ts';
import {setHiddenTexts} from '../base/log.ts';
import {isVersionList, isVersionRange} from '../versions/cells.ts';
import {defaultOperatorVersion, tools} from '../versions/pins.ts';
import {
  createExpectedError,
  parseChart,
  parseFamilies,
  parseMirrorUrl,
  parseOneOf,
  parseToolVersion,
  parseVersion,
  readAllInputs,
  withDefault
} from './readers.ts';

/** The reader of each input in matrix/action.yml. A test compares the keys with that file. */
const readers = {
  'operator-version': withDefault(defaultOperatorVersion, parseVersion),
  'operator-chart': withDefault(null, parseChart),
  'istio-versions': parseIf('`latest-patches`, `all`, or a range such as `>=1.29`', value =>
    value === 'latest-patches' || value === 'all' ? true : isVersionRange(value)
  ),
  'kubernetes-versions': parseIf(
    '`newest`, `all`, versions such as `1.35,1.36`, or a range such as `>=1.34`',
    value =>
      value === 'newest' || value === 'all' ? true : isVersionList(value) || isVersionRange(value)
  ),
  'ip-families': parseEach(parseFamilies),
  'dataplane-modes': parseEach(parseOneOf('sidecar', 'ambient')),
  max: parseMax,
  'helm-version': withDefault(tools.helm.version, parseToolVersion),
  mirror: withDefault(null, parseMirrorUrl)
} as const;

/** The defaults of matrix/action.yml, which a test compares. */
export const matrixDefaults: Partial<Record<keyof typeof readers, string>> = {
  'istio-versions': 'latest-patches',
  'kubernetes-versions': 'newest',
  'ip-families': 'ipv4,ipv6',
  'dataplane-modes': 'sidecar',
  max: '256'
};

export type MatrixInputs = {[Name in keyof typeof readers]: ReturnType<(typeof readers)[Name]>};

export const matrixInputNames = Object.keys(readers) as (keyof MatrixInputs)[];

/** Returns every input, parsed. Throws one Fault of class `input` with a line for each invalid input. */
export function readMatrixInputs(): MatrixInputs {
  const given = (name: keyof MatrixInputs) => core.getInput(name) || (matrixDefaults[name] ?? '');
  setHiddenTexts([...findUrlSecrets(given('operator-chart')), ...findUrlSecrets(given('mirror'))]);
  const {inputs, problems} = readAllInputs(readers, given);
  if (problems.length > 0) throw createInputFault(problems.join('\n'));
  return inputs as MatrixInputs;
}

function parseIf(what: string, holds: (value: string) => boolean) {
  return (value: string): string => {
    if (!holds(value)) throw createExpectedError(what);
    return value;
  };
}

/** A reader of values that white space separates. It drops duplicates. */
function parseEach<Value>(read: (value: string) => Value) {
  return (value: string): Value[] => [...new Set(value.split(/\s+/))].map(read);
}

/** The limit of cells. GitHub runs at most 256 jobs of one matrix. */
function parseMax(value: string): number {
  const number = /^\d{1,3}$/.test(value) ? Number(value) : 0;
  if (number < 1 || number > 256) throw createExpectedError('a whole number from 1 to 256');
  return number;
}
