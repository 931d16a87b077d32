// A recording's answers in this process, without a program to start for each: for who plays it a thousand times.
import {
  grouped,
  namesIn,
  readCalls,
  recording,
  recordingDirectory,
  tookManifests
} from './play.mjs';
import {answerToNewer, later, leftBy, nearest, onlyParts, question} from './question.mjs';

/** The recording of that name as `{inputs, checks, calls}`; read once, however often it is played. */
export const readRecording = name => ({
  ...recording(name),
  calls: readCalls(recordingDirectory(name))
});

/**
 * Answers as the stand-ins do: the n-th call of a question gets its n-th answer, and the last one stands. `places` are
 * this run's directories by their name, such as RUNNER_TEMP; `newer` says that checks are left out as newer. The answer
 * to what was never asked is null.
 */
export function answers({calls}, places, newer) {
  const asked = calls.map(call => ({call, ...question(call.argv)}));
  const byQuestion = grouped(asked.map(one => [one.exact, one]));
  const parted = [...byQuestion.values()].map(([first]) => first).filter(({parts}) => parts);
  const bent = {images: true, manifests: newer && tookManifests(calls), known: namesIn(calls)};
  const turns = new Map();
  const claims = new Map();
  const order = Object.entries(places).sort(([, one], [, other]) => other.length - one.length);
  const stored = text =>
    order.reduce((all, [name, place]) => all.replaceAll(place, `{${name}}`), text);
  const here = text =>
    order.reduce((all, [name, place]) => all.replaceAll(`{${name}}`, place), text);

  function known(argv) {
    const asking = question(argv);
    const same = byQuestion.get(asking.exact);
    if (same || !asking.parts)
      return {key: asking.exact, found: (same ?? []).map(({call}) => call)};
    const near = nearest(
      asking,
      parted.filter(({scope}) => scope === asking.scope)
    );
    const found = near ? byQuestion.get(near.exact).map(({call}) => call) : [];
    const only = call => ({...call, stdout: onlyParts(call.stdout, near.parts, asking.parts)});
    return {key: near?.exact ?? asking.exact, found: asking.kinds ? found.map(only) : found};
  }

  return given => {
    const argv = given.map(stored);
    const line = argv.join(' ');
    if (line.startsWith('docker volume ')) return claim(argv, claims);
    const {key, found} = known(argv);
    const turn = turns.get(key) ?? 0;
    turns.set(key, turn + 1);
    const call = found[Math.min(turn, found.length - 1)];
    if (call === undefined) {
      if (line.startsWith('helm show crds') || later.some(one => one.test(line))) return {code: 0};
      return answerToNewer(argv, bent);
    }
    const {stdout = '', stderr = '', files = []} = call;
    const text = one => (typeof one === 'string' ? here(one) : '');
    return {
      ...call,
      stdout: text(stdout),
      stderr: text(stderr),
      files: leftBy(argv, files).map(file => ({path: here(file.path), text: text(file.text)}))
    };
  };
}

/** A claim holds a token of its own run, which no recording can have. */
function claim([, , verb, ...rest], claims) {
  const name = rest.at(-1);
  if (verb === 'create') claims.set(name, claims.get(name) ?? rest[1].replace(/^[^=]*=/, ''));
  if (!claims.has(name)) return {code: 1, stderr: `Error: No such volume: ${name}`};
  const stdout = verb === 'inspect' ? `${claims.get(name)}\n` : `${name}\n`;
  if (verb === 'rm') claims.delete(name);
  return {code: 0, stdout};
}
