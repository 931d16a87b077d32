// What a command asks, however its flags are written: a recording answers a bundle that asks the same in other words.

const words = text => text.split(' ');

/** Per program: short options, those that take a value, and those that say how long or how much, not what. */
const grammars = {
  kubectl: {
    short: {
      A: 'all-namespaces',
      c: 'container',
      f: 'filename',
      l: 'selector',
      n: 'namespace',
      o: 'output'
    },
    valued: words(
      'container context field-selector filename for kubeconfig namespace output raw request-timeout selector since sort-by tail timeout'
    ),
    limits: words('request-timeout tail timeout')
  },
  helm: {
    short: {f: 'values', n: 'namespace', o: 'output'},
    valued: words(
      'destination kube-context kubeconfig namespace output repo set set-json set-string timeout values version'
    ),
    limits: ['timeout']
  },
  curl: {
    short: {},
    valued: words('connect-timeout max-filesize max-time output proto-redir retry'),
    limits: []
  },
  kind: {
    short: {q: 'quiet'},
    valued: words('config image kubeconfig name nodes wait'),
    limits: ['wait']
  },
  docker: {
    short: {d: 'detach', e: 'env', i: 'interactive', o: 'output', u: 'user'},
    valued: words('env filter format output user'),
    limits: []
  }
};

/** An option's name and value; null for another word, and for a short one that is not known. */
function optionOf(word, {short, valued}) {
  const long = /^--([\w-]+)(?:=(.*))?$/s.exec(word);
  if (long) return {name: long[1], value: long[2]};
  const [, letter, rest] = /^-([A-Za-z])(.*)$/s.exec(word) ?? [];
  const name = short[letter];
  if (name === undefined || (rest !== '' && !valued.includes(name))) return null;
  return {name, value: rest === '' ? undefined : rest.replace(/^=/, '')};
}

/** A script of ours has a name, its $0: it may be worded anew and asks the same. One without a name is all that it says. */
function inner([shell, flag, text, name, ...rest]) {
  const all = [shell, flag, text, name, ...rest].filter(word => word !== undefined);
  const named = /^(ba)?sh$/.test(shell) && flag === '-c' && /^[a-z][a-z-]*$/.test(name ?? '');
  return named ? [shell, flag, '{script}', name, ...rest] : all;
}

/** Words in their order, options by name, and what another program is given, as it is. */
function parsed([program, ...rest]) {
  const grammar = grammars[program];
  if (!grammar) return {words: [program, ...rest], options: [], given: []};
  const found = {words: [program], options: [], given: []};
  const queue = [...rest];
  while (queue.length > 0) {
    const word = queue.shift();
    const isExec = program === 'docker' && found.words[1] === 'exec';
    const option = optionOf(word, grammar);
    if (word === '--') return {...found, given: [word, ...inner(queue)]};
    if (!option) found.words.push(word);
    else {
      const {name, value = grammar.valued.includes(name) ? queue.shift() : undefined} = option;
      if (!grammar.limits.includes(name)) found.options.push({name, value});
    }
    if (isExec && found.words.length === 3) return {...found, given: inner(queue)};
  }
  return found;
}

const text = ({words, options, given}) =>
  JSON.stringify([
    words,
    // of an option given twice the order counts
    options.toSorted((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name))),
    given
  ]);

/** The part of a command that names several things at once: kinds of `kubectl get`, images of `docker save`. */
function partsOf({words: [program, verb, ...rest], options}) {
  if (program === 'docker' && verb === 'save') return rest;
  const asJson = options.some(({name, value}) => name === 'output' && value === 'json');
  const isList = program === 'kubectl' && verb === 'get' && rest.length === 1 && asJson;
  return isList && !rest[0].includes('/') ? rest[0].split(',') : null;
}

/** What a command fetches, by whichever program: the chart was Helm's to fetch before it was curl's. */
function fetched({words: [program, verb, what]}) {
  if (program === 'curl') return verb;
  return program === 'helm' && verb === 'pull' ? what : undefined;
}

/**
 * `exact`: the same for two commands that ask the same. Of one that asks for several things, `parts` are these,
 * `scope` is the rest of it, and `kinds` says that they are kinds of objects.
 */
export function question(argv) {
  const command = parsed(argv);
  const url = fetched(command);
  if (url !== undefined)
    return {exact: JSON.stringify(['fetch', url]), parts: null, scope: null, kinds: false};
  const parts = partsOf(command)?.toSorted() ?? null;
  if (!parts) return {exact: text(command), parts, scope: null, kinds: false};
  const scoped = {...command, words: command.words.slice(0, 2)};
  return {
    exact: text({...scoped, words: [...scoped.words, ...parts]}),
    parts,
    scope: text({...scoped, words: [...scoped.words, '*']}),
    kinds: command.words[0] === 'kubectl'
  };
}

/**
 * Of the recorded parts of the same scope, those that answer these best; undefined when none does. Of kinds, one that was
 * not recorded gives no objects, as long as another one was; an image that is in no archive is not answered.
 */
export function nearest({parts, kinds}, recorded) {
  const shared = other => other.parts.filter(part => parts.includes(part)).length;
  return recorded
    .filter(other => (kinds ? shared(other) > 0 : shared(other) === parts.length))
    .sort(
      (one, other) => shared(other) - shared(one) || one.parts.length - other.parts.length // the one that says least beside it
    )[0];
}

/** `EndpointSlice` → `endpointslices`, as kinds are named in a command. */
function plural(kind) {
  const name = kind.toLowerCase();
  if (name === 'endpoints') return name;
  if (/(s|x|ch)$/.test(name)) return `${name}es`;
  return /[^aeiou]y$/.test(name) ? name.replace(/y$/, 'ies') : `${name}s`;
}

/** The objects of a recorded list without those of kinds that are not asked for. What is no list stays as it is. */
export function onlyParts(stdout, recorded, asked) {
  const unasked = recorded
    .filter(part => !asked.includes(part))
    .map(part => part.replace(/\..*/s, ''));
  if (unasked.length === 0 || typeof stdout !== 'string') return stdout;
  try {
    const list = JSON.parse(stdout);
    const items = list.items.filter(({kind}) => !unasked.includes(plural(kind)));
    return `${JSON.stringify({...list, items}, null, 4)}\n`;
  } catch {
    return stdout;
  }
}

/** The files by which a command changes the cluster, as `kubectl apply -f` does. */
export function manifestsOf(argv) {
  const {
    words: [program, verb],
    options
  } = parsed(argv);
  if (program !== 'kubectl' || !['apply', 'create', 'delete'].includes(verb)) return [];
  return options.filter(({name}) => name === 'filename').map(({value}) => value);
}

/** The image that a command asks the local Docker for, or has a node pull; undefined for any other command. */
function imageOf(argv) {
  const {words, given} = parsed(argv);
  if (words.slice(0, 3).join(' ') === 'docker image inspect' && words.length === 4) return words[3];
  const isPull = words.slice(0, 2).join(' ') === 'docker exec' && given[0] === 'crictl';
  return isPull && given[1] === 'pull' ? given[2] : undefined;
}

/** What a run has been asking for its own account since later than some recordings, and goes on without when nothing is said. */
export const later = [
  /^docker ps .*--filter label=io\.x-k8s\.kind\.cluster=/,
  /^docker inspect --format \{\{(range \.Mounts|\.State\.Status)\}\}/,
  /^docker exec \S+ containerd config dump$/,
  /^docker context inspect /,
  /^tar .*--to-stdout .*manifest\.json$/
];

/**
 * The answer to a command that a recording does not know because it is older than the bundle; null when there is none.
 * With `images`, an image that it never names is not here, and its pull is begun: so its user does as without it.
 * With `manifests`, files that it never names are applied, or deleted. That shows nothing by itself: whatever is to be
 * seen of it afterwards, the recording does not answer.
 */
export function answerToNewer(argv, {images, manifests, known}) {
  const image = imageOf(argv);
  if (images && image !== undefined && !known.includes(image))
    return argv.includes('inspect')
      ? {code: 1, stdout: '\n', stderr: `Error response from daemon: No such image: ${image}\n`}
      : {code: 0};
  const files = manifestsOf(argv);
  if (manifests && files.length > 0 && !files.some(file => known.includes(file))) return {code: 0};
  return null;
}

/**
 * Of the files that appeared while a program ran, those that it was told to write: the others are the run's own, which it
 * writes itself, and would find there before it does.
 */
export function leftBy(argv, files) {
  const named = argv.map(word => word.replace(/^--?[\w-]+=/, ''));
  return files.filter(
    file => named.includes(file.path) || named.includes(file.path.replace(/\/[^/]*$/, ''))
  );
}
