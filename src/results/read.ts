/** Reads results.json files that others may have written. */
import published from '../../schema/results.schema.json' with {type: 'json'};
import {type Results, schema} from './results.ts';

/** The supported keywords of JSON Schema 2020-12. A test checks that the published schemas use no others. */
interface Shape {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  required?: string[];
  /** For a field that older files do not have. */
  default?: unknown;
  properties?: Record<string, Shape>;
  additionalProperties?: Shape;
  items?: Shape;
  /** A shape or `null`. */
  anyOf?: Shape[];
  $ref?: string;
  $defs?: Record<string, Shape>;
}

/** A results file cannot be read. The message has the reason, and may hold foreign text. */
export class UnreadableResultsError extends Error {}

/** In bytes. The results of a run have about 80 KB, those of a thousand targets 4 MB. */
export const maxResultsBytes = 16 * 1024 * 1024;

/**
 * Returns the results of a run from an untrusted file: it copies the fields of the schema and drops all others.
 * Throws UnreadableResultsError, and no other error.
 */
export function readResults(json: string): Results {
  const parsed = parseJson(json);
  const found = (parsed as {schema?: unknown} | null)?.schema;
  if (typeof found === 'number' && found > schema)
    throw new UnreadableResultsError(
      `it has schema ${found}, but this release reads schema ${schema}; use the release that wrote it, or a newer one`
    );
  return readWithSchema<Results>(parsed, published as Shape);
}

/** Returns a value with the fields of the schema. Throws UnreadableResultsError. */
export const readWithSchema = <Value>(parsed: unknown, shape: object): Value =>
  copyByShape(parsed, shape as Shape, '', shape as Shape) as Value;

export function parseJson(json: string): unknown {
  if (Buffer.byteLength(json) > maxResultsBytes)
    throw new UnreadableResultsError(`it is longer than ${maxResultsBytes / 1024 / 1024} MiB`);
  try {
    return JSON.parse(json);
  } catch {
    throw new UnreadableResultsError('it is not valid JSON');
  }
}

/** Copies the fields of the shape. `at` is the path of the value, `root` the schema that `$ref` refers to. */
function copyByShape(value: unknown, shape: Shape, at: string, root: Shape): unknown {
  if (shape.$ref) return copyByShape(value, resolveReference(shape.$ref, root), at, root);
  if (shape.anyOf)
    return value === null ? null : copyByShape(value, shape.anyOf[0] ?? {}, at, root);
  if (!matchesShape(value, shape))
    throw new UnreadableResultsError(`${at || 'the document'} is not ${describeShape(shape)}`);
  if (Array.isArray(value))
    return value.map((one, index) => copyByShape(one, shape.items ?? {}, `${at}[${index}]`, root));
  if (typeof value !== 'object' || value === null) return value;
  return copyObject(value as Record<string, unknown>, shape, at, root);
}

function copyObject(
  value: Record<string, unknown>,
  {properties = {}, required = [], additionalProperties}: Shape,
  at: string,
  root: Shape
): Record<string, unknown> {
  const missing = required.find(name => !Object.hasOwn(value, name));
  if (missing) throw new UnreadableResultsError(`${joinPath(at, missing)} is missing`);
  const absent = Object.entries(properties).flatMap(([name, {default: value}]) =>
    value === undefined ? [] : [[name, structuredClone(value)]]
  );
  const entries = Object.keys(value).flatMap(name => {
    const shape = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    return shape ? [[name, copyByShape(value[name], shape, joinPath(at, name), root)]] : [];
  });
  return Object.fromEntries([...absent, ...entries]); // creates own properties, also for `__proto__`
}

const joinPath = (at: string, name: string): string =>
  `${at}${at && '.'}${name.length > 80 ? `${name.slice(0, 80)}…` : name}`;

const resolveReference = (reference: string, root: Shape): Shape =>
  root.$defs?.[reference.replace('#/$defs/', '')] ?? {};

function matchesShape(value: unknown, shape: Shape): boolean {
  if (shape.const !== undefined) return value === shape.const;
  if (shape.enum) return shape.enum.includes(value);
  if (shape.type && ![shape.type].flat().includes(getJsonType(value))) return false;
  if (typeof value === 'string' && shape.pattern) return new RegExp(shape.pattern).test(value);
  if (typeof value !== 'number') return true;
  return value >= (shape.minimum ?? -Infinity) && value <= (shape.maximum ?? Infinity);
}

function getJsonType(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function describeShape(shape: Shape): string {
  if (shape.const !== undefined) return `${shape.const}`;
  if (shape.enum) return `one of ${shape.enum.join(', ')}`;
  if (shape.pattern) return 'of the form that the schema requires';
  const type = [shape.type].flat().join(' or ');
  const range = shape.maximum === undefined ? '' : ` from ${shape.minimum} to ${shape.maximum}`;
  return `of type ${type}${range}`;
}
