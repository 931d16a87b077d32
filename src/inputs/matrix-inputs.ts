import * as core from '@actions/core';
import {secretsInUrl} from '../base/download.ts';
import {badInput} from '../base/fault.ts';
import {hide} from '../base/log.ts';
import {isList, isRange} from '../versions/cells.ts';
import {operatorVersion, tools} from '../versions/pins.ts';
import {chart, families, mirrorUrl, oneOf, or, readAll, release, toolVersion} from './readers.ts';

/** How each input of matrix/action.yml is read. The keys are the inputs, and a test holds them to it. */
const readers = {
  'operator-version': or(operatorVersion, release),
  'operator-chart': or(null, chart),
  'istio-versions': either('`latest-patches`, `all`, or a range such as `>=1.29`', value =>
    value === 'latest-patches' || value === 'all' ? true : isRange(value)
  ),
  'kubernetes-versions': either(
    '`newest`, `all`, versions such as `1.35,1.36`, or a range such as `>=1.34`',
    value => (value === 'newest' || value === 'all' ? true : isList(value) || isRange(value))
  ),
  'ip-families': each(families),
  'dataplane-modes': each(oneOf('sidecar', 'ambient')),
  max: atMost,
  'helm-version': or(tools.helm.version, toolVersion),
  mirror: or(null, mirrorUrl)
} as const;

/** As matrix/action.yml has them; a test holds the two together. */
export const matrixDefaults: Partial<Record<keyof typeof readers, string>> = {
  'istio-versions': 'latest-patches',
  'kubernetes-versions': 'newest',
  'ip-families': 'ipv4,ipv6',
  'dataplane-modes': 'sidecar',
  max: '256'
};

export type MatrixInputs = {[Name in keyof typeof readers]: ReturnType<(typeof readers)[Name]>};

export const matrixInputNames = Object.keys(readers) as (keyof MatrixInputs)[];

/** Reads every input. Throws one Fault of class `input` that names every bad one. */
export function readMatrixInputs(): MatrixInputs {
  const given = (name: keyof MatrixInputs) => core.getInput(name) || (matrixDefaults[name] ?? '');
  hide([...secretsInUrl(given('operator-chart')), ...secretsInUrl(given('mirror'))]);
  const {inputs, problems} = readAll(readers, given);
  if (problems.length > 0) throw badInput(problems.join('\n'));
  return inputs as MatrixInputs;
}

function either(what: string, holds: (value: string) => boolean) {
  return (value: string): string => {
    if (!holds(value)) throw new Error(`accepted is ${what}`);
    return value;
  };
}

/** Several, with blanks or lines between them; each one once. */
function each<Value>(read: (value: string) => Value) {
  return (value: string): Value[] => [...new Set(value.split(/\s+/))].map(read);
}

/** GitHub makes at most 256 jobs of one matrix. */
function atMost(value: string): number {
  const number = /^\d{1,3}$/.test(value) ? Number(value) : 0;
  if (number < 1 || number > 256) throw new Error('accepted is a whole number from 1 to 256');
  return number;
}
