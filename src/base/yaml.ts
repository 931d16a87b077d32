/** Reads foreign YAML, which may be large, deep, slow to parse or invalid. */
import {type Document, isScalar, parseAllDocuments, parseDocument, visit} from 'yaml';
import {runWithTimeLimit, TimeLimitError} from './bounded.ts';

/** Invalid foreign YAML. The message quotes nothing of the text, which may contain credentials. */
export class YamlError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'YamlError';
  }
}

/** Longest text in characters, about ten times the longest that we know: the index of the operator's charts. */
const longest = 1 << 20;

/** How many aliases a text may have. */
const mostAliases = 100;

/** How deep nodes and pairs of mappings may be nested: deeper text overflows the stack of its readers. */
const deepest = 200;

// no warnings on standard error, which the runner scans for commands; unique keys are checked below, because the
// library compares every pair
const options = {logLevel: 'error', uniqueKeys: false} as const;

// such a key would change the prototype of an object that is merged from the mapping
const reserved = ['__proto__', 'constructor', 'prototype'];

/** The value of a YAML document. Throws YamlError. */
export const readYaml = (text: string): unknown =>
  readWithLimits(text, () => {
    const document = parseDocument(text, options);
    validateDocument(document);
    return document.toJS({maxAliasCount: mostAliases}) as unknown;
  });

/** All documents of a file, in a form that can be edited and written. Throws YamlError. */
export const readYamlDocuments = (text: string): Document[] =>
  readWithLimits(text, () => {
    const documents = parseAllDocuments(text, options);
    for (const document of documents) validateDocument(document);
    return documents;
  });

function readWithLimits<Value>(text: string, read: () => Value): Value {
  if (text.length > longest) throw new YamlError(`it has more than ${longest} characters`);
  try {
    return runWithTimeLimit(read);
  } catch (error) {
    if (error instanceof YamlError) throw error;
    if (error instanceof TimeLimitError) throw new YamlError(error.message);
    // the library throws for an unresolved or oversized alias, and V8 for a full stack
    throw new YamlError('its aliases or its nesting exceed the limits');
  }
}

function validateDocument(document: Document.Parsed): void {
  const [error] = document.errors;
  if (error) {
    const [at] = error.linePos ?? [];
    const place = at ? ` at line ${at.line}, column ${at.col}` : '';
    throw new YamlError(`${error.code.toLowerCase().replaceAll('_', ' ')}${place}`);
  }
  let aliases = 0;
  visit(document, {
    Alias: (_, alias) => {
      aliases++;
      if (alias.resolve(document) === undefined) throw new YamlError('an alias has no anchor');
      if (aliases > mostAliases) throw new YamlError(`it has more than ${mostAliases} aliases`);
    },
    Seq: (_, __, path) => validateDepth(path),
    Map: (_, map, path) => {
      validateDepth(path);
      const keys = map.items.map(({key}) =>
        isScalar(key) ? `${typeof key.value} ${key.value}` : key
      );
      if (map.items.some(({key}) => isScalar(key) && reserved.includes(`${key.value}`)))
        throw new YamlError(
          'a mapping has a reserved key: `__proto__`, `constructor` or `prototype`'
        );
      if (new Set(keys).size < keys.length) throw new YamlError('a mapping has a key twice');
    }
  });
}

function validateDepth(path: readonly unknown[]): void {
  if (path.length > deepest) throw new YamlError('it is nested too deeply');
}

/** The fields of a mapping; of anything else, none. */
export const asMapping = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
