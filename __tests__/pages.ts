import type {Sh} from '../src/base/sh.ts';
import {fakeSh} from './fake.ts';

/** Web servers as curl sees them: `status` says what comes back for a URL; anything else goes to `other`. */
export function fakePages(
  status: (url: string, via: string) => string,
  other: Sh = fakeSh({})
): Sh & {asked: string[]} {
  const asked: string[] = [];
  const sh: Sh = async (command, options) => {
    const at = command.indexOf('pages');
    if (at < 0) return other(command, options);
    const [, times = '', ...words] = command.slice(at + 1);
    const lines: string[] = [];
    for (let index = 0; index < words.length; index += 2) {
      const [url = '', via = ''] = words.slice(index);
      asked.push([command[3], url, via].filter(Boolean).join(' '));
      for (let turn = 0; turn < Number(times); turn++)
        lines.unshift(`${index / 2} ${status(url, via)} 0.004512`); // all at once: in any order
    }
    return {code: 0, stdout: `${lines.join('\n')}\n`, stderr: '', timedOut: false};
  };
  return Object.assign(sh, {asked});
}
