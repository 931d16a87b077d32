/** Builds HTML from foreign text, and the parts that the HTML reports share. */
import type {Results} from '../results/results.ts';
import type {DisplayState} from './findings.ts';
import {styles} from './styles.ts';
import {parseSpans, sanitizeLine, sanitizeText} from './words.ts';

/** HTML that needs no escaping. */
export class Markup {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

type Content = string | number | null | Markup | Markup[];

/** The only way to create markup: the template escapes all values that are not markup. */
export const markup = (strings: TemplateStringsArray, ...values: Content[]): Markup =>
  new Markup(
    strings.reduce((before, next, index) => before + source(values[index - 1] ?? '') + next)
  );

function source(content: Content): string {
  if (content instanceof Markup) return content.source;
  if (Array.isArray(content)) return content.map(one => one.source).join('\n');
  return sanitizeText(String(content ?? '')).replace(
    /[&<>"'`]/g,
    found => `&#${found.charCodeAt(0)};`
  );
}

export const emptyMarkup = markup``;

/** Returns a page that loads no resources and runs no scripts. */
export const renderPage = (title: string, sections: Markup[], footer: Markup): string =>
  markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${new Markup(styles)}</style>
</head>
<body>
<main>
${sections}
</main>
${footer}
</body>
</html>
`.source;

/** Foreign text, with code between backticks. */
const prose = (words: string, most = 2000): Markup[] =>
  parseSpans(sanitizeLine(words, most)).map(span =>
    span.code ? markup`<code>${span.text}</code>` : markup`${span.text}`
  );

export const inline = (words: string, most = 2000): Markup =>
  new Markup(
    prose(words, most)
      .map(part => part.source)
      .join('')
  );

export const code = (text: string, most = 300): Markup =>
  markup`<code>${sanitizeLine(text, most)}</code>`;

export const codes = (texts: string[]): Markup =>
  new Markup(texts.map(text => code(text).source).join(', '));

export const command = (text: string): Markup =>
  markup`<pre tabindex="0"><code>${sanitizeText(text.slice(0, 4000))}</code></pre>`;

const stateWords: Record<DisplayState, string> = {
  passed: 'passed',
  flaky: 'flaky',
  failed: 'failed',
  skipped: 'skipped',
  none: 'none'
};

const stateMarks: Record<DisplayState, string> = {
  passed: '✓',
  flaky: '!',
  failed: '✕',
  skipped: '–',
  none: ''
};

/** Returns a state as a symbol with a label for screen readers. */
export const mark = (state: DisplayState): Markup =>
  state === 'none'
    ? emptyMarkup
    : markup`<span class="mark ${state}" role="img" aria-label="${stateWords[state]}">${stateMarks[state]}</span>`;

/** Returns the workflow run and its commit; a link only for a plain HTTPS URL. */
export function renderRunFacts({url, id, attempt, sha}: Results['run']): (Markup | null)[] {
  const name = `Run ${sanitizeLine(id ?? '', 60)}${attempt ? `, attempt ${sanitizeLine(attempt, 20)}` : ''}`;
  const isHttpsUrl = url !== null && /^https:\/\/[\w.:/-]+$/.test(url);
  const run = isHttpsUrl ? markup`<a href="${url}" rel="noreferrer">${name}</a>` : markup`${name}`;
  return [id === null ? null : run, sha === null ? null : markup`commit ${code(sha.slice(0, 12))}`];
}

export const renderFooter = (parts: (Markup | null)[]): Markup =>
  markup`<footer>${parts.flatMap(part => (part ? [markup`<span>${part}</span>`] : []))}</footer>`;
