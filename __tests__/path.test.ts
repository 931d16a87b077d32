import {describe, expect, test} from '@jest/globals';
import {path} from '../src/checks/path.ts';
import type {CheckResult} from '../src/results/results.ts';
import {check} from './sample-results.ts';

const failed = (id: string, more: Partial<CheckResult> = {}) =>
  check(id, {verdict: 'failed', observed: 'no answer', expected: 'hello', family: 'ipv6', ...more});
const echo = (more: Partial<CheckResult>) =>
  check('echo/dual-stack/ipv6', {
    verdict: 'passed',
    family: 'ipv6',
    upstream: '10.244.0.6',
    ...more
  });
const hintBeside = (...others: CheckResult[]) => {
  const one = failed('path/dual-stack/ipv6');
  const all = [one, failed('mtls/dual-stack/ipv6-control'), ...others];
  return path.attribution.evidence?.(one, all).hint ?? '';
};

describe('the hint of a path that gets no answer', () => {
  test('starts with what is broken, then what is ruled out, then what to check', () => {
    expect(hintBeside()).toMatch(
      /^The pods of `dual-stack` do not answer over IPv6\. .*`mtls\/dual-stack\/ipv6-control`.* rules out .*\. Check the ip6tables rules/
    );
  });

  test('names an echo that passes by the other family', () => {
    expect(hintBeside(echo({}))).toContain(
      'The echo `echo/dual-stack/ipv6` passes, because its connections go to 10.244.0.6.'
    );
  });

  test.each([
    ['failed', echo({verdict: 'failed'})],
    ['has an unknown upstream', echo({upstream: null})],
    ['reached an address of the same family', echo({upstream: '10.244.0.6, fd00:10:244::6'})]
  ])('claims nothing of an echo that %s', (_, one) => {
    expect(hintBeside(one)).not.toContain('echo');
  });
});
