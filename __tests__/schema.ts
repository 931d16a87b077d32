import * as fs from 'node:fs';
import * as path from 'node:path';
import {Ajv2020} from 'ajv/dist/2020.js';

const root = path.join(import.meta.dirname, '..');

/** A published schema, as a JSON Schema validator that is not ours reads it. */
export function validator(name: 'results' | 'report') {
  const file = path.join(root, 'schema', `${name}.schema.json`);
  const published = JSON.parse(fs.readFileSync(file, 'utf8'));
  const valid = new Ajv2020({strict: true, allowUnionTypes: true}).compile(published);
  /** What is wrong with a value; null where nothing is. */
  const errors = (value: unknown) => (valid(value) ? null : (valid.errors ?? []));
  return {published, errors};
}
