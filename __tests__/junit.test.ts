import {describe, expect, test} from '@jest/globals';
import {renderJunit} from '../src/reports/junit.ts';
import {
  cancelled,
  changed,
  check,
  error,
  failed,
  flaky,
  hostileRun,
  many,
  passed
} from './sample-results.ts';

/** Fails where a tag is not closed, a name is odd, a sign is not escaped or a character is illegal. */
function expectWellFormed(xml: string): void {
  const open: string[] = [];
  const rest = xml
    .replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '')
    .replace(
      /<(\/?)([a-z-]+)((?: [a-z]+="[^"<]*")*)(\/?)>/g,
      (_, closes, name, _attributes, empty) => {
        if (closes) expect(open.pop()).toBe(name);
        else if (!empty) open.push(name);
        return '';
      }
    );
  expect(open).toEqual([]);
  expect(rest).not.toMatch(/[<>"]/);
  expect(xml.replace(/&(?:amp|lt|gt|quot|apos);/g, '')).not.toContain('&');
  expect(xml).not.toMatch(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u);
}

const element = (xml: string, start: string): string => {
  const from = xml.indexOf(start);
  expect(from).toBeGreaterThan(-1);
  return xml.slice(from, xml.indexOf('</testcase>', from));
};

test.each([
  ['passed', passed()],
  ['failed', failed()],
  ['flaky', flaky()],
  ['an error', error()],
  ['cancelled', cancelled()],
  ['hostile', hostileRun()],
  ['empty', passed({checks: [], phases: []})]
])('is well-formed for a run that is %s', (_, results) => {
  expectWellFormed(renderJunit(results));
});

test('has the totals, the time and the start of the run', () => {
  expect(renderJunit(failed())).toContain(
    '<testsuites name="dual-stack" tests="59" failures="4" errors="0" skipped="1" time="38.400" timestamp="2026-11-20T08:30:00">'
  );
});

test('has a suite for each layer, started with its first try', () => {
  const xml = renderJunit(failed());
  expect(xml.match(/<testsuite /g)).toHaveLength(16);
  expect(xml).toContain(
    '<testsuite name="cluster" tests="2" failures="1" errors="0" skipped="0" time="6.004" timestamp="2026-11-20T08:30:28">'
  );
});

test('has a test case for each check', () => {
  expect(renderJunit(passed())).toContain(
    '<testcase classname="dual-stack.echo" name="echo/dual-stack/ipv6" time="0.004"/>'
  );
});

test('a failure tells what was expected, observed, tried, and how to see it', () => {
  const shown = element(
    renderJunit(failed()),
    '<testcase classname="dual-stack.cluster" name="cluster/plain/ipv6"'
  );
  expect(shown).toContain('<failure message="no answer: no answer within 3 s" type="cluster">');
  for (const said of [
    'Expected: hello plain',
    'Observed: no answer',
    'Attempt 1, at 28.10 s, took 3.00 s: no answer',
    'Attempt 2, at 31.10 s, took 3.00 s: no answer',
    'kubectl exec -n sleep deploy/sleep'
  ]) {
    expect(shown).toContain(said);
  }
});

test('a consequence says so', () => {
  const shown = element(
    renderJunit(failed()),
    '<testcase classname="dual-stack.echo" name="echo/ipv6/name"'
  );
  expect(shown).toContain('message="no answer: caused by cluster/plain/ipv6" type="consequence"');
});

test('a skipped check tells why', () => {
  expect(renderJunit(passed())).toContain('<skipped message="only on request"/>');
});

test('a flaky check counts as passed and shows its tries', () => {
  const xml = renderJunit(flaky());
  const shown = element(xml, '<testcase classname="dual-stack.echo" name="echo/dual-stack/name"');
  expect(xml).toContain('failures="0" errors="0" skipped="1" time="31.200"');
  expect(shown).toContain('<property name="flaky" value="true"/>');
  expect(shown).toContain('Attempt 1, at 28.10 s, took 0.10 s: (nothing)');
  expect(shown).toContain('Attempt 2, at 28.40 s, took 0.00 s: hello dualstack');
});

test('ids that come again after an upgrade are other test cases', () => {
  const one = check('echo/dual-stack/name');
  const xml = renderJunit(passed({checks: [one, {...one, stage: 'upgrade'}]}));
  expect(xml).toContain('classname="dual-stack.echo" name="echo/dual-stack/name"');
  expect(xml).toContain('classname="dual-stack.upgrade.echo" name="echo/dual-stack/name"');
});

describe('where the checks were not reached', () => {
  test('the failed phase is the error, the others tell how they ended', () => {
    const xml = renderJunit(error());
    expect(xml).toContain('<testsuite name="run" tests="3" failures="0" errors="1" skipped="1"');
    const shown = element(xml, '<testcase classname="dual-stack.run" name="cluster"');
    expect(shown).toContain(
      '<error message="Cluster could not be created: the Docker network `kind` has'
    );
    expect(shown).toContain('type="infrastructure"');
    expect(shown).toContain('docker network rm kind');
    expect(xml).toContain('<skipped message="cancelled"/>');
    expect(xml).toContain('<testsuite name="runner" tests="4"');
  });

  test('a run that was cancelled is an error of its own', () => {
    const shown = element(
      renderJunit(cancelled()),
      '<testcase classname="dual-stack.run" name="run"'
    );
    expect(shown).toContain('<error message="Cancelled after 12 s, in images" type="cancelled">');
  });

  test('a run that reached them has no such suite', () => {
    expect(renderJunit(failed())).not.toContain('name="run"');
  });
});

test.each(['true', 'false', '', 'a "b" <c> & d'])('the input %j in an attribute stays XML', id => {
  const xml = renderJunit(changed(passed(), {'runner/disk/free': {id}}));
  expectWellFormed(xml);
  expect(xml).toContain(
    `name="${id.replace(/&/g, '&amp;').replace(/"/g, '&quot;').replace(/</g, '&lt;').replace(/>/g, '&gt;')}"`
  );
});

test('a start that is no time is left out', () => {
  expect(renderJunit(passed({started: 'soon'}))).not.toContain('timestamp');
});

test('a thousand targets are four thousand test cases', () => {
  expect(renderJunit(many(1000)).match(/<testcase /g)).toHaveLength(4000);
});
