import * as path from 'node:path';
import {quote, split} from 'shlex';
import {wholeName} from '../base/image.ts';
import {redact} from '../base/log.ts';
import {patchCommand} from '../checks/egress.ts';
import {cutCommand} from '../checks/failover.ts';
import {meshClient, reproduceProbe} from '../checks/probe.ts';
import {plainNamespace} from '../manifests/documented-samples.ts';
import {runLabel} from '../manifests/existing-cluster-manifests.ts';
import {operatorNamespace} from '../manifests/istio-resources.ts';
import {createCommand, deleteCommand} from '../phases/create-cluster.ts';
import {fetchCommand, gatewayCrdsCommand} from '../phases/install-gateway-api.ts';
import {installCommand} from '../phases/install-operator.ts';
import {importCommand, saveCommand, tagCommand} from '../phases/load-images.ts';
import {applyCommand} from '../phases/mesh.ts';
import {removalCommands} from '../phases/removal.ts';
import type {Existing} from '../plan/existing-cluster.ts';
import type {Plan} from '../plan/plan.ts';
import type {CheckResult, Results} from '../results/results.ts';
import {gatewayCrdUrl, gatewayApi as pinnedGatewayApi} from '../versions/pins.ts';
import {brokenCheck} from './findings.ts';
import {line} from './words.ts';

/**
 * The same run as a shell script, one step after the other, and at its end the command of the check that
 * failed: a pure function of the plan and the results. It holds no YAML that was given to the run.
 */
export function script(plan: Plan, results: Results): string {
  const here = relocated(plan);
  const given = givenYaml(results.inputs);
  const {existing} = plan;
  const installs = existing?.installs ?? {operator: true, istio: true};
  const lines = [
    '#!/usr/bin/env bash',
    `# The run of the dual-stack Action by hand: Sail Operator ${line(plan.operator.version, 60)}, Istio ${line(plan.istio.expected ?? 'as the operator has it', 60)}.`,
    existing === null
      ? `# Needs docker, kind, kubectl${plan.gatewayApi ? ', curl' : ''} and helm on PATH${toolsUsed(results)}. KEEP=1 keeps the cluster.`
      : `# Needs kubectl and helm on PATH${toolsUsed(results)}, and a kubeconfig whose context is the cluster, ${line(plan.cluster.context, 100)} in the run. KEEP=1 keeps what is made in it.`,
    ...settings(plan, given),
    '# Ends with 0 when the documented validations hold and the command of the check that failed in the run,',
    '# where one did, gives what it should, or, where that is for a person to judge, can be run; else with 1.',
    '# shellcheck disable=SC2016,SC2317,SC2329 # steps are called by their names, and what is quoted is meant as it is',
    'set -uo pipefail',
    ...(existing === null ? [] : sameContext(existing.found.context)),
    ...runtime(plan),
    "cat <<'END'",
    'Left out here:',
    ...leftOut(plan, results, given).map(what => `- ${what}`),
    'END',
    ...given.flatMap(checkGiven),
    '',
    ...Object.entries(plan.shown).flatMap(([name, text]) => heredoc(name, text)),
    ...given.flatMap(({file, variable}) =>
      file === 'kind.yaml' ? [`[ -z "$${variable}" ] || cp "$${variable}" "$work/kind.yaml"`] : []
    ),
    '',
    ...(existing === null ? cluster(here) : []),
    ...(existing === null ? images(plan) : []),
    '',
    '# the Sail Operator',
    `step 'the namespaces' ${command(namespacesCommand(here))}`,
    ...(installs.operator ? operator(plan, here, given) : []),
    ...(plan.gatewayApi ? gatewayApi(here) : []),
    '',
    '# Istio',
    ...(installs.istio ? istio(plan, here, given) : []),
    `step 'the Services of the samples' ${command(applyCommand(here, 'services.yaml'))}`,
    `step 'STRICT mutual TLS on port 9001' ${command(applyCommand(here, 'strict.yaml'))}`,
    ...(plan.shown['resources.yaml'] === undefined
      ? []
      : [`step 'what the checks ask of Istio' ${command(applyCommand(here, 'resources.yaml'))}`]),
    ...(installs.istio
      ? [
          "step 'Istio is healthy' kubectl wait --for=jsonpath='{.status.state}'=Healthy istios.sailoperator.io/default --timeout=3m",
          ...tagged(plan, 0)
        ]
      : []),
    ...(plan.istio.cni && installs.istio
      ? [
          "step 'IstioCNI is ready' kubectl wait --for=condition=Ready istiocnis.sailoperator.io/default --timeout=3m"
        ]
      : []),
    ...(plan.istio.ambient
      ? [
          "step 'ZTunnel is ready' kubectl wait --for=condition=Ready ztunnels.sailoperator.io/default --timeout=3m"
        ]
      : []),
    '',
    '# the samples',
    `step 'the samples without sidecars' ${command(applyCommand(here, 'plain.yaml'))}`,
    `step 'the samples' ${command(applyCommand(here, 'samples.yaml'))}`,
    ...(plan.moreWorkloads.length > 0
      ? [`step 'more samples' ${command(applyCommand(here, 'more-samples.yaml'))}`]
      : []),
    ...[...plan.workloads, ...plan.moreWorkloads].map(
      ({namespace, kind, name}) =>
        `step ${quote(`${namespace}/${name} is ready`)} ${command(['kubectl', 'rollout', 'status', `${kind.toLowerCase()}/${name}`, '-n', namespace, '--timeout=2m'])}`
    ),
    ...(brokenCheck(results)?.stage === 'install' ? [] : upgraded(plan, here)),
    "step 'the mesh has 5 s to settle' sleep 5",
    '',
    '# the documented validations',
    "check 'the Service is RequireDualStack' says RequireDualStack kubectl get service tcp-echo -n dual-stack -o jsonpath='{.spec.ipFamilyPolicy}'",
    ...['dualstack', 'ipv4', 'ipv6'].map(echo),
    ...broken(plan, results),
    '',
    'exit "$failed"',
    ''
  ];
  return lines.join('\n');
}

// ---- The user's own YAML ----

/** An input whose YAML the script does not hold: it takes a file of the user's instead. */
interface Given {
  input: string;
  variable: string;
  file: string;
  /** As results.json shows it; null where what is asked for is not what was given. */
  digest: string | null;
}

const variables = [
  {input: 'kind-config', variable: 'KIND_CONFIG', file: 'kind.yaml'},
  {input: 'operator-values', variable: 'OPERATOR_VALUES', file: 'operator-values.yaml'},
  {input: 'istio-values', variable: 'ISTIO_VALUES', file: 'istio-values.yaml'}
];

const givenYaml = (inputs: Results['inputs']): Given[] =>
  variables.flatMap(one => {
    const shown = inputs[one.input];
    const [, digest = null] = /^sha256:([0-9a-f]{16})$/.exec(shown ?? '') ?? [];
    return shown === undefined
      ? []
      : [{...one, digest: one.input === 'kind-config' ? null : digest}];
  });

/** What the caller of the script may or must say, as comments. */
const settings = (plan: Plan, given: Given[]): string[] => [
  ...given.map(({input, variable}) =>
    input === 'kind-config'
      ? `# ${variable}=FILE is a whole kind configuration, ours below with that of the input \`kind-config\` in it.`
      : `# ${variable}=FILE must hold what the run was given as \`${input}\`.`
  ),
  ...(plan.operator.url === null
    ? ["# CHART=PATH is the operator's chart, where it lies elsewhere."]
    : [])
];

/** Ends the script before it makes anything when a file is not the one of the run. */
const checkGiven = ({input, variable, digest}: Given): string[] =>
  input === 'kind-config'
    ? [`${variable}=\${${variable}:-}`]
    : [`given ${input} ${variable} ${digest ?? "''"}`];

// ---- What the script says and does about its steps ----

/** Of a kind cluster: its name is one of an input that has been read. */
const leaveKind = (name: string): string[] => [
  'export KUBECONFIG=$work/kubeconfig',
  "failed=0 broken='' made=''",
  'leave() {',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  '  if [ -n "$made" ] && [ -n "${KEEP:-}" ]; then echo "kept; export KUBECONFIG=$KUBECONFIG"; return; fi',
  `  [ -z "$made" ] || ${command(deleteCommand(name, '$work/kubeconfig'))}`,
  '  rm -rf "$work"',
  '}'
];

/** Of a cluster that is there already: what has the label of the run goes. */
const leaveExisting = ({run, installs, mesh}: Existing): string[] => [
  "failed=0 broken=''",
  'leave() {',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  '  [ -n "${KEEP:-}" ] ||',
  '    {',
  ...removalCommands({
    ...{run, operator: installs.operator, configMaps: mesh === null ? [] : null, tools: []}
  }).map(words => `      ${ifOurs(words, run)}${command(words)}`),
  '    }',
  '  rm -rf "$work"',
  '}'
];

/** A release has no label of ours, but its namespace has. */
const ifOurs = ([program]: string[], run: string): string =>
  program === 'helm'
    ? `kubectl get namespaces -l ${runLabel}=${run} -o name | grep -qx namespace/${operatorNamespace} && `
    : '';

/** Ends the script before it makes anything in another cluster than that of the run. */
const sameContext = (context: string): string[] => [
  `[ "$(kubectl config current-context)" = ${quote(context)} ] || { echo ${quote(`the current context is not ${context}`)} >&2; exit 1; }`
];

/** The functions that the steps use. */
const runtime = ({cluster, existing}: Plan): string[] => [
  'work=$(mktemp -d)',
  ...(existing === null ? leaveKind(cluster.name) : leaveExisting(existing)),
  'trap leave EXIT',
  '# one line when it ends; what it said only when it failed, and after that nothing more is set up',
  'step() {',
  '  if [ -n "$broken" ]; then printf \'skipped         %s\\n\' "$1"; return; fi',
  '  check "$@" || broken=1',
  '}',
  '# the same for what need not hold for the next one',
  'check() {',
  '  local name=$1 start=$SECONDS',
  '  shift',
  '  if [ -z "$broken" ] && "$@" >"$work/said" 2>&1; then',
  '    printf \'passed %5d s  %s\\n\' "$((SECONDS - start))" "$name"',
  '    return',
  '  fi',
  '  failed=1',
  '  if [ -n "$broken" ]; then printf \'skipped         %s\\n\' "$name"; return 1; fi',
  '  printf \'failed %5d s  %s\\n\' "$((SECONDS - start))" "$name"',
  '  sed \'s/^/    /\' "$work/said"',
  '  return 1',
  '}',
  '# the command says just that',
  'says() {',
  '  local expected=$1 said',
  '  shift',
  '  said=$("$@")',
  '  [ "$said" = "$expected" ] || { echo "it said \\"$said\\" instead of \\"$expected\\""; return 1; }',
  '}',
  '# the file in a variable is what the run was given as an input',
  'given() {',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  '  local file=${!2:-} sum',
  '  if [ ! -r "$file" ]; then echo "$2=FILE is wanted: the YAML of the input $1" >&2; exit 1; fi',
  '  sum=$(printf %s "$(cat "$file")" | sha256sum | cut -c 1-16)',
  '  [ "$sum" = "$3" ] && return',
  '  echo "$2=$file is not the $1 of the run: sha256 $sum instead of $3" >&2',
  '  exit 1',
  '}'
];

const toolsUsed = ({versions}: Results): string => {
  const used = ['kind', 'kubectl', 'helm'].flatMap(name => {
    const found = versions[name]?.found;
    return found ? [`${name} ${line(found, 60)}`] : [];
  });
  return used.length === 0 ? '' : `; the run had ${used.join(', ')}`;
};

/** What the run did and the script does not, a line each. */
const leftOut = (plan: Plan, results: Results, given: Given[]): string[] => [
  `every check but the documented validations${results.failure === null ? '' : ' and the one that failed'}`,
  ...(plan.existing === null
    ? ["Docker's logins for registries, which the nodes of the run got"]
    : ['the look at the cluster, and what would refuse it; the CRDs, which stay']),
  ...(plan.cluster.tuned
    ? [
        'what only saves time: images pulled and unpacked beforehand, the node held back until the operator can start, no duplicate address detection for pods'
      ]
    : []),
  ...(plan.upgrade === null ? [] : ['the load during the upgrade, and the checks before it']),
  'diagnostics',
  ...given.flatMap(({input, variable}) =>
    input === 'kind-config' ? [`the input kind-config, unless ${variable} has it`] : []
  ),
  ...(results.inputs.mirror === undefined
    ? []
    : ['the mirror: downloads come from where they are published']),
  ...(plan.operator.url === null ? [] : ["the chart's checksum"])
];

// ---- Steps ----

const cluster = (here: Plan): string[] => [
  '# the cluster',
  'cluster() {',
  `  ${command(createCommand(here)).replace('kubeconfig.kind', 'kubeconfig')} && made=1 &&`,
  '    kubectl wait --for=condition=Ready nodes --all --timeout=2m',
  '}',
  `step 'the cluster' cluster`
];

/** In a cluster that is not ours, none that is there is taken. */
const namespacesCommand = (here: Plan): string[] =>
  here.existing === null
    ? applyCommand(here, 'namespaces.yaml')
    : ['kubectl', 'create', '-f', '$work/namespaces.yaml'];

/** The plan with its files under `$work`. */
function relocated(plan: Plan): Plan {
  const {cluster, operator} = plan;
  return {
    ...plan,
    directory: '$work',
    cluster: {...cluster, kubeconfig: '$work/kubeconfig'},
    operator: {
      ...operator,
      chart: operator.url === null ? '$chart' : `$work/${chartFile(operator.url)}`
    }
  };
}

const chartFile = (url: string): string => path.basename(new URL(url).pathname);

/** A command as a shell reads it; `$work/` at the beginning of an argument is meant as the variable, as are `$chart`, `$node`, `$pod`, `$name` and `$image`. */
const command = (words: string[]): string => words.map(argument).join(' ');

function argument(word: string): string {
  if (word.startsWith('$work/')) return `"$work"/${quote(word.slice('$work/'.length))}`;
  return ['$chart', '$node', '$pod', '$name', '$image'].includes(word) ? `"${word}"` : quote(word);
}

function heredoc(name: string, text: string): string[] {
  let end = 'EOF';
  while (text.split('\n').includes(end)) end += '_';
  return [`cat >"$work/${name}" <<'${end}'`, text.trimEnd(), end];
}

/** The nodes as they are there: KIND_CONFIG may have others than the run had. */
const forNodes = (name: string, ...lines: string[]): string[] => [
  `  for node in $(kind get nodes --name ${name}); do`,
  ...lines.map(text => `    ${text} || return`),
  '  done'
];

/** Each image that the local Docker has goes into every node. */
function images({cluster, images, otherNames}: Plan): string[] {
  const all = Object.values(images).flat();
  if (all.length === 0) return [];
  const imported = command(importCommand('$node'));
  const renamed = command(tagCommand('$node', '$name', '$image'));
  return [
    '# an image into every node, where the local Docker has it, by its name or by the other one that is given',
    'image() {',
    '  local image="$1" name=',
    '  for name in "$@"; do docker image inspect "$name" >/dev/null 2>&1 && break; name=; done',
    '  [ -n "$name" ] || return 0',
    ...forNodes(
      cluster.name,
      `${command(saveCommand([]))} "$name" | ${imported}`,
      `[ "$name" = "$image" ] || ${renamed}`
    ),
    '}',
    ...all.map(image => {
      const names = [image, otherNames[image]].filter(name => name !== undefined).map(wholeName);
      return `step ${quote(`image ${image}`)} image ${command(names)}`;
    })
  ];
}

/** The CRDs, then the chart without them, as the run does it. */
function operator({operator}: Plan, here: Plan, given: Given[]): string[] {
  const values = given.some(({file}) => file === 'operator-values.yaml');
  const install = command(installCommand(here)).replace(
    '"$work"/operator-values.yaml',
    '"$OPERATOR_VALUES"'
  );
  return [
    ...(operator.url === null
      ? // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
        ['chart=${CHART:-}', `[ -n "$chart" ] || chart=${quote(operator.chart)}`]
      : [`step 'the chart' helm pull ${quote(redact(operator.url))} --destination "$work"`]),
    'crds() {',
    // Helm 3 puts nothing between two files of CRDs
    `  helm show crds ${argument(here.operator.chart)} | awk '/^apiVersion:/ {print "---"} {print}' >"$work/crds.yaml" &&`,
    '    kubectl create -f "$work/crds.yaml"',
    '}',
    `step 'the CRDs' crds`,
    `step 'the operator${values ? ', with OPERATOR_VALUES' : ''}' ${install} --wait --timeout 3m`
  ];
}

/** The CRDs of the Gateway API, held to their checksums. */
const gatewayApi = (here: Plan): string[] => [
  'gateway_api() {',
  '  mkdir "$work/gateway-api" &&',
  ...Object.entries(pinnedGatewayApi.crds).flatMap(([name, sum]) => [
    `    ${command(fetchCommand(`$work/gateway-api/${name}.yaml`, gatewayCrdUrl(name)))} &&`,
    `    echo ${sum} "$work/gateway-api/${name}.yaml" | sha256sum --check &&`
  ]),
  `    ${command(gatewayCrdsCommand(here))}`,
  '}',
  `step 'the CRDs of the Gateway API' gateway_api`
];

/** The Istio resource, with the user's values merged in by kubectl. */
function istio({istio, shown, upgrade}: Plan, here: Plan, given: Given[]): string[] {
  const merged = given.some(({file}) => file === 'istio-values.yaml');
  return [
    ...(shown['istio-cni.yaml'] === undefined
      ? []
      : [`step IstioCNI ${command(applyCommand(here, 'istio-cni.yaml'))}`]),
    ...(merged
      ? [
          'values() {',
          "  { printf 'spec:\\n  values:\\n'; sed -e '/^---/d' -e '/^\\.\\.\\./d' -e 's/^/    /' \"$ISTIO_VALUES\"; } >\"$work/patch.yaml\" &&",
          ...['istio.yaml', ...(upgrade ? ['upgrade.yaml'] : [])].flatMap((file, at, {length}) => [
            `    kubectl patch --local -f "$work/${file}" --type merge --patch-file "$work/patch.yaml" -o yaml >"$work/merged.yaml" &&`,
            `    mv "$work/merged.yaml" "$work/${file}"${at < length - 1 ? ' &&' : ''}`
          ]),
          '}',
          `step 'ISTIO_VALUES over the dual-stack values' values`
        ]
      : []),
    `step Istio ${command(applyCommand(here, 'istio.yaml'))}`,
    ...(istio.ambient ? [`step ZTunnel ${command(applyCommand(here, 'ztunnel.yaml'))}`] : []),
    ...(shown['revision-tag.yaml'] === undefined
      ? []
      : [`step 'the revision tag' ${command(applyCommand(here, 'revision-tag.yaml'))}`])
  ];
}

/** The tag that namespaces name stands for one of the two revisions. */
const tagged = ({upgrade}: Plan, at: 0 | 1): string[] =>
  upgrade?.strategy === 'RevisionBased'
    ? [
        `step 'the revision tag has its revision' kubectl wait istiorevisiontags.sailoperator.io --all --for=jsonpath='{.status.istioRevision}'=${upgrade.revisions[at]} --timeout=2m`
      ]
    : [];

/** The upgrade, and the restart of every workload that has a sidecar or may have one. */
function upgraded(plan: Plan, here: Plan): string[] {
  const {upgrade, istio, shown, workloads, moreWorkloads} = plan;
  if (upgrade === null) return [];
  const meshed = [...workloads, ...moreWorkloads].filter(
    ({namespace}) => namespace !== plainNamespace
  );
  return [
    '',
    `# the upgrade, ${upgrade.strategy}`,
    `step 'the upgrade to ${upgrade.to}' ${command(applyCommand(here, 'upgrade.yaml'))}`,
    ...(shown['upgrade-cni.yaml'] === undefined
      ? []
      : [`step 'the upgrade of IstioCNI' ${command(applyCommand(here, 'upgrade-cni.yaml'))}`]),
    "step 'the operator has 10 s to begin' sleep 10",
    `step 'the revision is ready' kubectl wait istiorevisions.sailoperator.io/${upgrade.revisions[1]} --for=condition=Ready --timeout=3m`,
    `step 'istiod is rolled out' kubectl rollout status deployment/${upgrade.istio.istiod} -n ${istio.namespace} --timeout=3m`,
    ...tagged(plan, 1),
    ...meshed.flatMap(({namespace, kind, name}) => {
      const what = `${kind.toLowerCase()}/${name}`;
      return [
        `step ${quote(`${namespace}/${name} is restarted`)} ${command(['kubectl', 'rollout', 'restart', what, '-n', namespace])}`,
        `step ${quote(`${namespace}/${name} is ready again`)} ${command(['kubectl', 'rollout', 'status', what, '-n', namespace, '--timeout=3m'])}`
      ];
    })
  ];
}

function echo(word: string): string {
  const target = word === 'dualstack' ? 'dual-stack' : word;
  const probe = reproduceProbe(meshClient, {word, address: `tcp-echo.${target}`, port: 9000});
  return `check 'tcp-echo.${target} by name' says 'hello ${word}' ${probe}`;
}

// ---- The check that failed ----

/** The command of the check that failed, or of the phase; nothing where there is none that could be run again. */
function broken(plan: Plan, results: Results): string[] {
  const check = brokenCheck(results);
  const shown = check?.reproduce ?? results.failure?.reproduce ?? null;
  const command = shown === null ? null : rerunnable(shown, plan);
  if (results.failure === null) return [];
  return [
    '',
    '# what failed in the run',
    `printf '\\nIn the run failed: %s\\n' ${quote(line(check?.id ?? results.failure.message, 500))}`,
    ...(check
      ? [
          `printf '  %s\\n' ${quote(line(`expected ${check.expected}; found ${check.observed}`, 500))}`
        ]
      : []),
    ...(command === null
      ? [`echo '  there is no command that shows it by itself: see the steps above'`]
      : again(plan, check, command))
  ];
}

/**
 * A command that can be run again, as a shell reads it: kubectl's alone, without files that are gone. Whatever a
 * shell would act on ends up quoted, for some of it is of the cluster's making, but for `$(kubectl get …)`, by
 * which an address is looked up.
 */
function rerunnable(shown: string, plan: Plan): string | null {
  const words = wordsIn(shown);
  if (words[0] !== 'kubectl' || words.some(isOperator) || shown.includes(plan.directory))
    return null;
  const read = words.map(lookedUp);
  return read.some(word => /\$\(|`/.test(word) && !word.startsWith('"$(')) ? null : read.join(' ');
}

const isOperator = (word: string): boolean => /^([|&;]+|\d?[<>].*)$/.test(word);

/** A word quoted; what a `kubectl get` prints stays a substitution. */
function lookedUp(word: string): string {
  const [, inner = ''] = /^\$\((kubectl get [^$`()]+)\)$/.exec(word) ?? [];
  const words = wordsIn(inner);
  return words.length === 0 || words.some(isOperator) ? quote(word) : `"$(${command(words)})"`;
}

function wordsIn(text: string): string[] {
  try {
    return split(text);
  } catch {
    return []; // an answer in it has a quote that does not end
  }
}

/** Runs it once more: judged where it is a probe, shown where it is for a person to judge. */
function again(plan: Plan, check: CheckResult | null, text: string): string[] {
  const expected = check && answerOf(check);
  const around =
    check?.layer === 'failover'
      ? cutLines(plan, check)
      : check?.id.startsWith('egress/overlap/')
        ? takenLines()
        : null;
  return [
    "broken=''",
    ...(around?.before ?? []),
    expected === null
      ? `printf '  to be judged by you:\\n'; ${text} || failed=1`
      : `check ${quote(line(check?.title ?? '', 200))} says ${quote(expected)} ${text}`,
    ...(around?.after ?? [])
  ];
}

/** What the check's probe must print; null where it is no probe. */
function answerOf({id, layer, address, expected}: CheckResult): string | null {
  if (address === null) return null;
  if (layer === 'failover') return `hello ${id}`;
  if (expected === 'no answer') return '';
  return expected.startsWith('hello ') ? expected : null;
}

/** Around the probe of a failover: one family of the dual-stack pod is cut, as the run does it. */
function cutLines({cluster}: Plan, {family}: CheckResult) {
  const [pattern, unspecified] = family === 'ipv6' ? [':', '::'] : ['-v :', '0.0.0.0'];
  const rule = (verb: '-I' | '-D') =>
    command(
      cutCommand('$node', verb, unspecified).map(word => (word === unspecified ? '$pod' : word))
    );
  return {
    before: [
      `pod=$(kubectl get pods -n dual-stack -l app=tcp-echo -o jsonpath='{.items[0].status.podIPs[*].ip}' | tr ' ' '\\n' | grep -m 1 ${pattern})`,
      'cut() {',
      ...forNodes(cluster.name, rule('-I')),
      '}',
      'mend() {',
      ...forNodes(cluster.name, rule('-D')),
      '}',
      `check '${family} to the dual-stack pod is cut' cut`
    ],
    after: [`check '${family} is there again' mend`]
  };
}

/** Before the probe of a ServiceEntry that overlaps ClusterIPs: it takes them, as in the run. */
function takenLines() {
  const patch = patchCommand({ipv4: '$ipv4', ipv6: '$ipv6'});
  const clusterIp = (family: string) =>
    `${family}=$(kubectl get service tcp-echo -n ${family} -o jsonpath='{.spec.clusterIPs[0]}')`;
  return {
    before: [
      clusterIp('ipv4'),
      clusterIp('ipv6'),
      `check 'a ServiceEntry takes the ClusterIPs too' ${command(patch.slice(0, -1))} "${(patch.at(-1) ?? '').replaceAll('"', '\\"')}"`,
      'sleep 3 # until it is in force'
    ],
    after: []
  };
}
