import * as fs from 'node:fs';
import * as path from 'node:path';
import {afterAll, describe, expect, test} from '@jest/globals';
import {
  hurry,
  mark,
  type Place,
  placeName,
  placesIn,
  type Recording,
  read,
  rehearsed,
  texts,
  type Way,
  ways,
  withText
} from './hostile-places.ts';
import {complaints, resultsOf, strangeCommands, strangeEntries, strangeMarkdown} from './judge.ts';

/**
 * Hostile text in the answers of a cluster, a chart or a program. `npm run hostile` puts it in every field of every recording.
 */
const everything = process.env.HOSTILE !== undefined;

afterAll(hurry(30)); // before what waits is imported
const {run} = await import('../src/run/run.ts');
const {selectDefinitions} = await import('../src/checks/catalogue.ts');
const {filterApplicable} = await import('../src/checks/skip-on-existing.ts');
const rows = filterApplicable({cluster: 'kind', 'operator-chart': null}, selectDefinitions(null));

const names = fs
  .readdirSync(path.join(import.meta.dirname, '..', 'rehearsal', 'recordings'))
  .sort();

/** What is wrong after a rehearsal with that text in that place. */
const wrong = (recording: Recording, place: Place, text: string, way: Way) =>
  rehearsed(withText(recording, place, text, way), {run, rows}, complaints, {
    inputs: everything ? {timeout: '5s'} : {} // many places make a run wait in vain
  });

describe('who judges it sees', () => {
  test.each([
    ['a command', `a\n::error::${mark}\nb`],
    ['one behind spaces', `a\n  ::error::${mark}`],
    ['one behind another line end', `a\r::error::${mark}`],
    ['one in the middle of a line', `a ##[error]${mark}`],
    ['one that is not ours', '::set-output name=a::b'],
    ['an end of commands', `::stop-commands::${mark}`],
    ['a property that is not ours', `::error title=a,file=${mark}::b`]
  ])('%s', (_, log) => expect(strangeCommands(log)).toHaveLength(1));

  test('no command where commands are off, or ours', () => {
    const token = '01234567-89ab-cdef-0123-456789abcdef';
    expect(
      strangeCommands(
        `::group::a\n::stop-commands::${token}\n::error::${mark}\n::${token}::\n::error title=a::%0A::error::${mark}\n::endgroup::`
      )
    ).toEqual([]);
  });

  test('an entry of a file that is not ours', () => {
    expect(strangeEntries(`result<<E\na\nE\n${mark}=x\n`, ['result'])).toEqual([`${mark}=x`]);
    expect(strangeEntries(`result<<E\n${mark}=x\nE\n`, ['result'])).toEqual([]);
  });

  test('markup outside of code', () => {
    expect(strangeMarkdown(`a <${mark}> b`)).toHaveLength(1);
    expect(strangeMarkdown(`a \`<${mark}>\` b`)).toEqual([]);
  });
});

/** Where the text comes far: to the log, the verdict, the reports, the commands to paste. */
const far: [string, Place][] = [
  ['docker-down', {stream: 'stderr', command: 'docker info {{json .}}'}],
  ['kind-network-ipv4-only', {field: 'Subnet'}],
  ['node-killed-early', {stream: 'stderr', command: 'kind create cluster'}]
];

/** Each text, and the way it comes in: another one for each. */
const all = Object.entries(texts).map(([name, text], at) => ({
  name,
  text,
  way: ways[at % ways.length] ?? 'after'
}));

const quick = everything ? describe.skip : describe;
quick.each(far)('hostile text in the recording %s, %j', (name, place) => {
  const recording = read(name);
  test.each(all)('$name', async ({text, way}) => {
    expect(placesIn(recording).map(placeName)).toContain(placeName(place));
    expect(await wrong(recording, place, text, way)).toEqual([]);
  });
});

quick('without such text', () => {
  test.each(names)('the recording %s ends as it did', async name => {
    const recording = read(name);
    const {result, failure} = await rehearsed(recording, {run, rows}, resultsOf, {
      inputs: {timeout: '2m'}
    });
    expect({
      code: result === 'passed' ? 0 : 1,
      result,
      'failure-class': failure?.class ?? '',
      'failed-layer': failure?.layer ?? ''
    }).toEqual(recording.expect);
  });
});

quick('one text for each of some places', () => {
  const some = ['sidecar-image-missing', 'ipv6-dropped-to-pod', 'unknown-istio'].flatMap(
    (name, at) =>
      placesIn(read(name))
        .filter((_, index) => index % 71 === at)
        .map((place, index) => ({
          of: name,
          place,
          ...(all[(7 * index + at) % all.length] ?? all[0])
        }))
  );
  test.each(some)('$of, $place: $name', async ({of, place, text = '', way = 'after'}) => {
    expect(await wrong(read(of), place, text, way)).toEqual([]);
  });
});

const slow = everything ? describe : describe.skip;
slow('every place', () => {
  test.each(names.filter(name => name === process.env.HOSTILE))(
    'of the recording %s',
    async name => {
      const recording = read(name);
      const found: string[] = [];
      const every = Number(process.env.HOSTILE_EVERY ?? 1);
      const places = placesIn(recording).filter((_, at) => at % every === name.length % every);
      for (const [at, place] of places.entries()) {
        const {name: what, text, way} = all[(at + name.length) % all.length] ?? {...all[0]};
        for (const one of await wrong(recording, place, text ?? '', way ?? 'after'))
          found.push(`${placeName(place)}, ${what}, ${way}: ${one}`);
      }
      fs.appendFileSync(process.env.HOSTILE_COUNT ?? '/dev/null', `${places.length}\n`);
      expect(found).toEqual([]);
    },
    3_600_000
  );
});
