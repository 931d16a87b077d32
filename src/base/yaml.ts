import {type Document, isScalar, parseAllDocuments, parseDocument, visit} from 'yaml';
import {runWithTimeLimit, TimeLimitError} from './bounded.ts';

/** The one door for foreign YAML: it may be large, deep, slow to read or wrong, and says nothing by itself. */

/** Foreign YAML that is not taken. Its message repeats nothing of the text: that may hold credentials. */
export class YamlError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'YamlError';
  }
}

/** In characters: the longest that we know, the index of the operator's charts, has a tenth. */
const longest = 1 << 20;

/** How often a text may refer to an anchor. */
const mostAliases = 100;

/** How many nodes, and pairs of mappings, may stand in one another: what is deeper fills the stack of who walks it. */
const deepest = 200;

// without a word on standard error, which the runner reads for commands too; keys are compared by us, for
// the library compares each with each
const options = {logLevel: 'error', uniqueKeys: false} as const;

// who merges mappings takes one with such a key for something else, and loses what is beside it
const reserved = ['__proto__', 'constructor', 'prototype'];

/** The value of a YAML document. Throws YamlError. */
export const readYaml = (text: string): unknown =>
  readWithLimits(text, () => {
    const document = parseDocument(text, options);
    validateDocument(document);
    return document.toJS({maxAliasCount: mostAliases}) as unknown;
  });

/** All documents of a file, to be changed and written again. Throws YamlError. */
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
    // the library's own way to say that an alias leads nowhere or to too much, and a stack that is full
    throw new YamlError('its aliases or its depth are beyond what is read');
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
      if (alias.resolve(document) === undefined) throw new YamlError('an alias leads nowhere');
      if (aliases > mostAliases) throw new YamlError(`it has more than ${mostAliases} aliases`);
    },
    Seq: (_, __, path) => validateDepth(path),
    Map: (_, map, path) => {
      validateDepth(path);
      const keys = map.items.map(({key}) =>
        isScalar(key) ? `${typeof key.value} ${key.value}` : key
      );
      if (map.items.some(({key}) => isScalar(key) && reserved.includes(`${key.value}`)))
        throw new YamlError('a mapping has a key that is called as what every object has');
      if (new Set(keys).size < keys.length) throw new YamlError('a mapping has a key twice');
    }
  });
}

function validateDepth(path: readonly unknown[]): void {
  if (path.length > deepest) throw new YamlError('it is nested too deep');
}

/** The fields of a mapping; of anything else, none. */
export const asMapping = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
