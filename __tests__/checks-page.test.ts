/** The link from a failure to its layer in docs/checks.md. */
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {findLayerPage} from '../src/reports/checks-page.ts';
import {renderHtml} from '../src/reports/html.ts';
import {formatLogEnd} from '../src/reports/log-end.ts';
import {renderSummary} from '../src/reports/summary.ts';
import {badInputs, failed, passed} from './sample-results.ts';

const action = {
  GITHUB_SERVER_URL: 'https://github.com',
  GITHUB_ACTION_REPOSITORY: 'owner/dual.stack',
  GITHUB_ACTION_REF: 'releases/v1'
};
const name = 'docs/checks.md#cluster';
const url = `https://github.com/owner/dual.stack/blob/releases/v1/${name}`;

describe('the section of a layer', () => {
  test.each([
    ['a published action', action, url],
    ['no server', {...action, GITHUB_SERVER_URL: undefined}, url],
    [
      'a server with a port',
      {...action, GITHUB_SERVER_URL: 'https://git.example:8443'},
      url.replace('github.com', 'git.example:8443')
    ],
    ['a local action', {...action, GITHUB_ACTION_REPOSITORY: '', GITHUB_ACTION_REF: ''}, null],
    ['no ref', {...action, GITHUB_ACTION_REF: undefined}, null],
    ['no environment', {}, null],
    ['markup in the ref', {...action, GITHUB_ACTION_REF: 'v1)[x](y'}, null],
    ['a line end in the ref', {...action, GITHUB_ACTION_REF: 'v1\n'}, null],
    ['markup in the repository', {...action, GITHUB_ACTION_REPOSITORY: 'a/"><b'}, null],
    ['a server without TLS', {...action, GITHUB_SERVER_URL: 'http://git.example'}, null]
  ])('with %s', (_, env, expected) => {
    expect(findLayerPage('cluster', env)).toEqual({name, url: expected});
  });
});

describe('the reports of a failure', () => {
  const before = {...process.env};
  beforeEach(() => void Object.assign(process.env, action));
  afterEach(() => {
    process.env = {...before};
  });

  test('link to it', () => {
    expect(renderSummary(failed())).toContain(`> About this layer: [\`${name}\`](${url}).\n`);
    expect(renderHtml(failed())).toContain(
      `<a href="${url}" rel="noreferrer"><code>${name}</code></a>`
    );
    expect(formatLogEnd(failed(), '/results')).toContain(`About this layer: ${url}`);
  });

  test('name the file if the repository is unknown', () => {
    process.env.GITHUB_ACTION_REPOSITORY = '';
    expect(renderSummary(failed())).toContain(`> About this layer: \`${name}\`.\n`);
    expect(renderHtml(failed())).toContain(`</strong> <code>${name}</code></p>`);
    expect(formatLogEnd(failed(), '/results')).toContain(`About this layer: ${name}`);
  });

  test.each([
    ['a passed run', passed()],
    ['a failure without a layer', badInputs()]
  ])('have none for %s', (_, results) => {
    const reports = [renderSummary(results), renderHtml(results), ...formatLogEnd(results, '')];
    expect(reports.join('\n')).not.toContain('About this layer');
  });
});
