/** Renders reproduce.sh, which repeats a run by hand. */
import * as path from 'node:path';
import {quote, split} from 'shlex';
import {normalizeImageName} from '../base/image.ts';
import {redact} from '../base/log.ts';
import {buildPatchCommand} from '../checks/egress.ts';
import {buildCutCommand} from '../checks/failover.ts';
import {meshClient, reproduceProbe} from '../checks/probe.ts';
import {plainNamespace} from '../manifests/documented-samples.ts';
import {runLabel} from '../manifests/existing-cluster-manifests.ts';
import {operatorNamespace} from '../manifests/istio-resources.ts';
import {buildCreateClusterCommand, buildDeleteClusterCommand} from '../phases/create-cluster.ts';
import {buildCreateGatewayCrdsCommand, buildFetchCommand} from '../phases/install-gateway-api.ts';
import {buildInstallOperatorCommand} from '../phases/install-operator.ts';
import {
  buildImportImagesCommand,
  buildSaveImagesCommand,
  buildTagImageCommand
} from '../phases/load-images.ts';
import {buildApplyCommand} from '../phases/mesh.ts';
import {buildRemovalCommands} from '../phases/removal.ts';
import type {ExistingCluster} from '../plan/existing-cluster.ts';
import type {Plan} from '../plan/plan.ts';
import type {CheckResult, Results} from '../results/results.ts';
import {getGatewayCrdUrl, gatewayApi as pinnedGatewayApi} from '../versions/pins.ts';
import {findBrokenCheck} from './findings.ts';
import {sanitizeLine} from './words.ts';

/**
 * Returns a shell script that repeats the run step by step, and ends with the command of the failed check. It
 * contains no YAML from inputs, which may hold credentials.
 */
export function renderScript(plan: Plan, results: Results): string {
  const here = relocatePlan(plan);
  const given = listGivenInputs(results.inputs);
  const {existing} = plan;
  const installs = existing?.installs ?? {operator: true, istio: true};
  const lines = [
    '#!/usr/bin/env bash',
    `# Repeats a run of the dual-stack Action: Sail Operator ${sanitizeLine(plan.operator.version, 60)}, Istio ${sanitizeLine(plan.istio.expected ?? 'in the default version of the operator', 60)}.`,
    existing === null
      ? `# Requires docker, kind, kubectl${plan.gatewayApi ? ', curl' : ''} and helm on PATH${describeToolVersions(results)}. KEEP=1 keeps the cluster.`
      : `# Requires kubectl and helm on PATH${describeToolVersions(results)}, and a kubeconfig with the context of the cluster (${sanitizeLine(plan.cluster.context, 100)} in the run). KEEP=1 keeps the objects that the script creates.`,
    ...renderSettings(plan, given),
    '# Exits with 0 if the documented validations pass and the command of the failed check returns the expected answer.',
    '# If only a person can judge its output, the command must run without an error. Else exits with 1.',
    '# shellcheck disable=SC2016,SC2317,SC2329 # functions are called by name, and quoted text is literal',
    'set -uo pipefail',
    ...(existing === null ? [] : renderContextCheck(existing.found.context)),
    ...renderFunctions(plan),
    "cat <<'END'",
    'Not repeated here:',
    ...listOmissions(plan, results, given).map(what => `- ${what}`),
    'END',
    ...given.flatMap(renderInputCheck),
    '',
    ...Object.entries(plan.shownFiles).flatMap(([name, text]) => renderHeredoc(name, text)),
    ...given.flatMap(({file, variable}) =>
      file === 'kind.yaml' ? [`[ -z "$${variable}" ] || cp "$${variable}" "$work/kind.yaml"`] : []
    ),
    '',
    ...(existing === null ? renderClusterSteps(here) : []),
    ...(existing === null ? renderImageSteps(plan) : []),
    '',
    '# the Sail Operator',
    `step 'the namespaces' ${quoteCommand(buildNamespacesCommand(here))}`,
    ...(installs.operator ? renderOperatorSteps(plan, here, given) : []),
    ...(plan.gatewayApi ? renderGatewayApiSteps(here) : []),
    '',
    '# Istio',
    ...(installs.istio ? renderIstioSteps(plan, here, given) : []),
    `step 'the Services of the samples' ${quoteCommand(buildApplyCommand(here, 'services.yaml'))}`,
    `step 'STRICT mutual TLS on port 9001' ${quoteCommand(buildApplyCommand(here, 'strict.yaml'))}`,
    ...(plan.shownFiles['resources.yaml'] === undefined
      ? []
      : [
          `step 'the Istio resources of the checks' ${quoteCommand(buildApplyCommand(here, 'resources.yaml'))}`
        ]),
    ...(installs.istio
      ? [
          "step 'Istio is healthy' kubectl wait --for=jsonpath='{.status.state}'=Healthy istios.sailoperator.io/default --timeout=3m",
          ...renderTagStep(plan, 0)
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
    `step 'the samples without sidecars' ${quoteCommand(buildApplyCommand(here, 'plain.yaml'))}`,
    `step 'the samples' ${quoteCommand(buildApplyCommand(here, 'samples.yaml'))}`,
    ...(plan.extraWorkloads.length > 0
      ? [`step 'more samples' ${quoteCommand(buildApplyCommand(here, 'more-samples.yaml'))}`]
      : []),
    ...[...plan.workloads, ...plan.extraWorkloads].map(
      ({namespace, kind, name}) =>
        `step ${quote(`${namespace}/${name} is ready`)} ${quoteCommand(['kubectl', 'rollout', 'status', `${kind.toLowerCase()}/${name}`, '-n', namespace, '--timeout=2m'])}`
    ),
    ...(findBrokenCheck(results)?.stage === 'install' ? [] : renderUpgradeSteps(plan, here)),
    "step '5 s for the mesh to settle' sleep 5",
    '',
    '# the documented validations',
    "check 'the Service is RequireDualStack' says RequireDualStack kubectl get service tcp-echo -n dual-stack -o jsonpath='{.spec.ipFamilyPolicy}'",
    ...['dualstack', 'ipv4', 'ipv6'].map(renderEchoCheck),
    ...renderFailedCheck(plan, results),
    '',
    'exit "$failed"',
    ''
  ];
  return lines.join('\n');
}

// ---- YAML inputs ----

/** An input whose YAML the script does not contain. It requires a file instead. */
interface GivenInput {
  input: string;
  variable: string;
  file: string;
  /** As in results.json; null if the file differs from the input. */
  digest: string | null;
}

const variables = [
  {input: 'kind-config', variable: 'KIND_CONFIG', file: 'kind.yaml'},
  {input: 'operator-values', variable: 'OPERATOR_VALUES', file: 'operator-values.yaml'},
  {input: 'istio-values', variable: 'ISTIO_VALUES', file: 'istio-values.yaml'}
];

const listGivenInputs = (inputs: Results['inputs']): GivenInput[] =>
  variables.flatMap(one => {
    const shown = inputs[one.input];
    const [, digest = null] = /^sha256:([0-9a-f]{16})$/.exec(shown ?? '') ?? [];
    return shown === undefined
      ? []
      : [{...one, digest: one.input === 'kind-config' ? null : digest}];
  });

/** Comments on the variables that the script reads. */
const renderSettings = (plan: Plan, given: GivenInput[]): string[] => [
  ...given.map(({input, variable}) =>
    input === 'kind-config'
      ? `# ${variable}=FILE replaces the kind configuration below. Merge the input \`kind-config\` into it.`
      : `# ${variable}=FILE must hold the value of the input \`${input}\` of the run.`
  ),
  ...(plan.operator.url === null ? ["# CHART=PATH sets another path of the operator's chart."] : [])
];

/** Ends the script before it creates anything, if a file differs from the input of the run. */
const renderInputCheck = ({input, variable, digest}: GivenInput): string[] =>
  input === 'kind-config'
    ? [`${variable}=\${${variable}:-}`]
    : [`given ${input} ${variable} ${digest ?? "''"}`];

// ---- Functions ----

/** Deletes the kind cluster. Its name is a validated input. */
const renderKindCleanup = (name: string): string[] => [
  'export KUBECONFIG=$work/kubeconfig',
  "failed=0 broken='' made=''",
  'leave() {',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  '  if [ -n "$made" ] && [ -n "${KEEP:-}" ]; then echo "cluster kept: export KUBECONFIG=$KUBECONFIG"; return; fi',
  `  [ -z "$made" ] || ${quoteCommand(buildDeleteClusterCommand(name, '$work/kubeconfig'))}`,
  '  rm -rf "$work"',
  '}'
];

/** Removes the objects with the label of the run from an existing cluster. */
const renderExistingCleanup = ({run, installs, mesh}: ExistingCluster): string[] => [
  "failed=0 broken=''",
  'leave() {',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  '  [ -n "${KEEP:-}" ] ||',
  '    {',
  ...buildRemovalCommands({
    ...{run, operator: installs.operator, configMaps: mesh === null ? [] : null, tools: []}
  }).map(words => `      ${renderOwnershipTest(words, run)}${quoteCommand(words)}`),
  '    }',
  '  rm -rf "$work"',
  '}'
];

/** A Helm release has no label of the run, but its namespace has. */
const renderOwnershipTest = ([program]: string[], run: string): string =>
  program === 'helm'
    ? `kubectl get namespaces -l ${runLabel}=${run} -o name | grep -qx namespace/${operatorNamespace} && `
    : '';

/** Ends the script before it creates anything, if the current context is not that of the run. */
const renderContextCheck = (context: string): string[] => [
  `[ "$(kubectl config current-context)" = ${quote(context)} ] || { echo ${quote(`The current context is not ${context}.`)} >&2; exit 1; }`
];

/** The functions that the steps use. */
const renderFunctions = ({cluster, existing}: Plan): string[] => [
  'work=$(mktemp -d)',
  ...(existing === null ? renderKindCleanup(cluster.name) : renderExistingCleanup(existing)),
  'trap leave EXIT',
  '# runs a command and prints one line, and the output of a failed command; after a failure, later steps are skipped',
  'step() {',
  '  if [ -n "$broken" ]; then printf \'skipped         %s\\n\' "$1"; return; fi',
  '  check "$@" || broken=1',
  '}',
  '# the same, but later steps still run after a failure',
  'check() {',
  '  local name=$1 start=$SECONDS',
  '  shift',
  '  if [ -z "$broken" ] && "$@" >"$work/output" 2>&1; then',
  '    printf \'passed %5d s  %s\\n\' "$((SECONDS - start))" "$name"',
  '    return',
  '  fi',
  '  failed=1',
  '  if [ -n "$broken" ]; then printf \'skipped         %s\\n\' "$name"; return 1; fi',
  '  printf \'failed %5d s  %s\\n\' "$((SECONDS - start))" "$name"',
  '  sed \'s/^/    /\' "$work/output"',
  '  return 1',
  '}',
  '# fails unless the command prints exactly this text',
  'says() {',
  '  local expected=$1 output',
  '  shift',
  '  output=$("$@")',
  '  [ "$output" = "$expected" ] || { echo "observed \\"$output\\", expected \\"$expected\\""; return 1; }',
  '}',
  '# fails unless the file in a variable is the input of the run',
  'given() {',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
  '  local file=${!2:-} sum',
  '  if [ ! -r "$file" ]; then echo "Set $2=FILE to the YAML of the input $1." >&2; exit 1; fi',
  '  sum=$(printf %s "$(cat "$file")" | sha256sum | cut -c 1-16)',
  '  [ "$sum" = "$3" ] && return',
  '  echo "$2=$file is not the $1 of the run: sha256 $sum, expected $3" >&2',
  '  exit 1',
  '}'
];

const describeToolVersions = ({versions}: Results): string => {
  const used = ['kind', 'kubectl', 'helm'].flatMap(name => {
    const found = versions[name]?.found;
    return found ? [`${name} ${sanitizeLine(found, 60)}`] : [];
  });
  return used.length === 0 ? '' : `; the run used ${used.join(', ')}`;
};

/** Lists the parts of the run that the script does not repeat. */
const listOmissions = (plan: Plan, results: Results, given: GivenInput[]): string[] => [
  `all checks except the documented validations${results.failure === null ? '' : ' and the failed check'}`,
  ...(plan.existing === null
    ? ["the copy of Docker's registry logins to the nodes"]
    : ['the inspection of the cluster, and the removal of CRDs']),
  ...(plan.cluster.tuned
    ? [
        'optimizations: images pulled and unpacked beforehand, the node cordoned until the operator can start, no duplicate address detection for pods'
      ]
    : []),
  ...(plan.upgrade === null ? [] : ['the load during the upgrade, and the checks before it']),
  'diagnostics',
  ...given.flatMap(({input, variable}) =>
    input === 'kind-config' ? [`the input kind-config, unless ${variable} includes it`] : []
  ),
  ...(results.inputs.mirror === undefined ? [] : ['the mirror: downloads use the public URLs']),
  ...(plan.operator.url === null ? [] : ["the check of the chart's checksum"])
];

// ---- Steps ----

const renderClusterSteps = (here: Plan): string[] => [
  '# the cluster',
  'cluster() {',
  `  ${quoteCommand(buildCreateClusterCommand(here)).replace('kubeconfig.kind', 'kubeconfig')} && made=1 &&`,
  '    kubectl wait --for=condition=Ready nodes --all --timeout=2m',
  '}',
  `step 'the cluster' cluster`
];

/** `create` fails for a namespace that exists, so that the script takes over none in an existing cluster. */
const buildNamespacesCommand = (here: Plan): string[] =>
  here.existing === null
    ? buildApplyCommand(here, 'namespaces.yaml')
    : ['kubectl', 'create', '-f', '$work/namespaces.yaml'];

/** Returns the plan with its files under `$work`. */
function relocatePlan(plan: Plan): Plan {
  const {cluster, operator} = plan;
  return {
    ...plan,
    directory: '$work',
    cluster: {...cluster, kubeconfig: '$work/kubeconfig'},
    operator: {
      ...operator,
      chart: operator.url === null ? '$chart' : `$work/${getChartFileName(operator.url)}`
    }
  };
}

const getChartFileName = (url: string): string => path.basename(new URL(url).pathname);

/** Quotes a command for a shell, except the variables `$work/…`, `$chart`, `$node`, `$pod`, `$name` and `$image`. */
const quoteCommand = (words: string[]): string => words.map(quoteArgument).join(' ');

function quoteArgument(word: string): string {
  if (word.startsWith('$work/')) return `"$work"/${quote(word.slice('$work/'.length))}`;
  return ['$chart', '$node', '$pod', '$name', '$image'].includes(word) ? `"${word}"` : quote(word);
}

function renderHeredoc(name: string, text: string): string[] {
  let end = 'EOF';
  while (text.split('\n').includes(end)) end += '_';
  return [`cat >"$work/${name}" <<'${end}'`, text.trimEnd(), end];
}

/** Loops over the actual nodes, because KIND_CONFIG may add some. */
const renderNodeLoop = (name: string, ...lines: string[]): string[] => [
  `  for node in $(kind get nodes --name ${name}); do`,
  ...lines.map(text => `    ${text} || return`),
  '  done'
];

/** Copies each image that the local Docker has to every node. */
function renderImageSteps({cluster, images, otherNames}: Plan): string[] {
  const all = Object.values(images).flat();
  if (all.length === 0) return [];
  const imported = quoteCommand(buildImportImagesCommand('$node'));
  const renamed = quoteCommand(buildTagImageCommand('$node', '$name', '$image'));
  return [
    '# copies an image to every node, if the local Docker has it under one of the names',
    'image() {',
    '  local image="$1" name=',
    '  for name in "$@"; do docker image inspect "$name" >/dev/null 2>&1 && break; name=; done',
    '  [ -n "$name" ] || return 0',
    ...renderNodeLoop(
      cluster.name,
      `${quoteCommand(buildSaveImagesCommand([]))} "$name" | ${imported}`,
      `[ "$name" = "$image" ] || ${renamed}`
    ),
    '}',
    ...all.map(image => {
      const names = [image, otherNames[image]]
        .filter(name => name !== undefined)
        .map(normalizeImageName);
      return `step ${quote(`image ${image}`)} image ${quoteCommand(names)}`;
    })
  ];
}

/** Creates the CRDs, then installs the chart without them, as the run does. */
function renderOperatorSteps({operator}: Plan, here: Plan, given: GivenInput[]): string[] {
  const values = given.some(({file}) => file === 'operator-values.yaml');
  const install = quoteCommand(buildInstallOperatorCommand(here)).replace(
    '"$work"/operator-values.yaml',
    '"$OPERATOR_VALUES"'
  );
  return [
    ...(operator.url === null
      ? // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
        ['chart=${CHART:-}', `[ -n "$chart" ] || chart=${quote(operator.chart)}`]
      : [`step 'the chart' helm pull ${quote(redact(operator.url))} --destination "$work"`]),
    'crds() {',
    // Helm 3 prints no separator between two files of CRDs
    `  helm show crds ${quoteArgument(here.operator.chart)} | awk '/^apiVersion:/ {print "---"} {print}' >"$work/crds.yaml" &&`,
    '    kubectl create -f "$work/crds.yaml"',
    '}',
    `step 'the CRDs' crds`,
    `step 'the operator${values ? ', with OPERATOR_VALUES' : ''}' ${install} --wait --timeout 3m`
  ];
}

/** Downloads the CRDs of the Gateway API, and verifies their checksums. */
const renderGatewayApiSteps = (here: Plan): string[] => [
  'gateway_api() {',
  '  mkdir "$work/gateway-api" &&',
  ...Object.entries(pinnedGatewayApi.crds).flatMap(([name, sum]) => [
    `    ${quoteCommand(buildFetchCommand(`$work/gateway-api/${name}.yaml`, getGatewayCrdUrl(name)))} &&`,
    `    echo ${sum} "$work/gateway-api/${name}.yaml" | sha256sum --check &&`
  ]),
  `    ${quoteCommand(buildCreateGatewayCrdsCommand(here))}`,
  '}',
  `step 'the CRDs of the Gateway API' gateway_api`
];

/** Creates the Istio resource. kubectl merges ISTIO_VALUES into it. */
function renderIstioSteps(
  {istio, shownFiles, upgrade}: Plan,
  here: Plan,
  given: GivenInput[]
): string[] {
  const merged = given.some(({file}) => file === 'istio-values.yaml');
  return [
    ...(shownFiles['istio-cni.yaml'] === undefined
      ? []
      : [`step IstioCNI ${quoteCommand(buildApplyCommand(here, 'istio-cni.yaml'))}`]),
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
    `step Istio ${quoteCommand(buildApplyCommand(here, 'istio.yaml'))}`,
    ...(istio.ambient
      ? [`step ZTunnel ${quoteCommand(buildApplyCommand(here, 'ztunnel.yaml'))}`]
      : []),
    ...(shownFiles['revision-tag.yaml'] === undefined
      ? []
      : [`step 'the revision tag' ${quoteCommand(buildApplyCommand(here, 'revision-tag.yaml'))}`])
  ];
}

/** Waits until the tag points to one of the two revisions. */
const renderTagStep = ({upgrade}: Plan, at: 0 | 1): string[] =>
  upgrade?.strategy === 'RevisionBased'
    ? [
        `step 'the revision tag has its revision' kubectl wait istiorevisiontags.sailoperator.io --all --for=jsonpath='{.status.istioRevision}'=${upgrade.revisions[at]} --timeout=2m`
      ]
    : [];

/** Upgrades Istio, and restarts every workload in the mesh. */
function renderUpgradeSteps(plan: Plan, here: Plan): string[] {
  const {upgrade, istio, shownFiles, workloads, extraWorkloads} = plan;
  if (upgrade === null) return [];
  const meshed = [...workloads, ...extraWorkloads].filter(
    ({namespace}) => namespace !== plainNamespace
  );
  return [
    '',
    `# the upgrade, ${upgrade.strategy}`,
    `step 'the upgrade to ${upgrade.to}' ${quoteCommand(buildApplyCommand(here, 'upgrade.yaml'))}`,
    ...(shownFiles['upgrade-cni.yaml'] === undefined
      ? []
      : [
          `step 'the upgrade of IstioCNI' ${quoteCommand(buildApplyCommand(here, 'upgrade-cni.yaml'))}`
        ]),
    "step '10 s for the operator to start the upgrade' sleep 10",
    `step 'the revision is ready' kubectl wait istiorevisions.sailoperator.io/${upgrade.revisions[1]} --for=condition=Ready --timeout=3m`,
    `step 'istiod is rolled out' kubectl rollout status deployment/${upgrade.istio.istiod} -n ${istio.namespace} --timeout=3m`,
    ...renderTagStep(plan, 1),
    ...meshed.flatMap(({namespace, kind, name}) => {
      const what = `${kind.toLowerCase()}/${name}`;
      return [
        `step ${quote(`${namespace}/${name} is restarted`)} ${quoteCommand(['kubectl', 'rollout', 'restart', what, '-n', namespace])}`,
        `step ${quote(`${namespace}/${name} is ready again`)} ${quoteCommand(['kubectl', 'rollout', 'status', what, '-n', namespace, '--timeout=3m'])}`
      ];
    })
  ];
}

function renderEchoCheck(word: string): string {
  const target = word === 'dualstack' ? 'dual-stack' : word;
  const probe = reproduceProbe(meshClient, {word, address: `tcp-echo.${target}`, port: 9000});
  return `check 'tcp-echo.${target} by name' says 'hello ${word}' ${probe}`;
}

// ---- The failed check ----

/** Prints the failure of the run, and repeats its command if that is possible. */
function renderFailedCheck(plan: Plan, results: Results): string[] {
  const check = findBrokenCheck(results);
  const shown = check?.reproduce ?? results.failure?.reproduce ?? null;
  const command = shown === null ? null : quoteRerunnable(shown, plan);
  if (results.failure === null) return [];
  return [
    '',
    '# the failure of the run',
    `printf '\\nFailed in the original run: %s\\n' ${quote(sanitizeLine(check?.id ?? results.failure.message, 500))}`,
    ...(check
      ? [
          `printf '  %s\\n' ${quote(sanitizeLine(`expected ${check.expected}; observed ${check.observed}`, 500))}`
        ]
      : []),
    ...(command === null
      ? [`echo '  No single command reproduces it. See the steps above.'`]
      : renderRerun(plan, check, command))
  ];
}

/**
 * Returns a kubectl command quoted for a shell; null for other programs, and for commands with deleted files. Parts
 * of the command come from the cluster, so everything is quoted except `$(kubectl get …)`, which finds an address.
 */
function quoteRerunnable(shown: string, plan: Plan): string | null {
  const words = splitWords(shown);
  if (words[0] !== 'kubectl' || words.some(isShellOperator) || shown.includes(plan.directory))
    return null;
  const read = words.map(quoteWord);
  return read.some(word => /\$\(|`/.test(word) && !word.startsWith('"$(')) ? null : read.join(' ');
}

const isShellOperator = (word: string): boolean => /^([|&;]+|\d?[<>].*)$/.test(word);

/** Quotes a word, except the substitution of a `kubectl get`. */
function quoteWord(word: string): string {
  const [, inner = ''] = /^\$\((kubectl get [^$`()]+)\)$/.exec(word) ?? [];
  const words = splitWords(inner);
  return words.length === 0 || words.some(isShellOperator)
    ? quote(word)
    : `"$(${quoteCommand(words)})"`;
}

function splitWords(text: string): string[] {
  try {
    return split(text);
  } catch {
    return []; // it contains an unterminated quote
  }
}

/** Runs the command again: compares the answer of a probe, and shows any other output. */
function renderRerun(plan: Plan, check: CheckResult | null, text: string): string[] {
  const expected = check && getExpectedAnswer(check);
  const around =
    check?.layer === 'failover'
      ? renderCutLines(plan, check)
      : check?.id.startsWith('egress/overlap/')
        ? renderOverlapLines()
        : null;
  return [
    "broken=''",
    ...(around?.before ?? []),
    expected === null
      ? `printf '  Judge this output yourself:\\n'; ${text} || failed=1`
      : `check ${quote(sanitizeLine(check?.title ?? '', 200))} says ${quote(expected)} ${text}`,
    ...(around?.after ?? [])
  ];
}

/** Returns the output that the probe must print; null if the check is no probe. */
function getExpectedAnswer({id, layer, address, expected}: CheckResult): string | null {
  if (address === null) return null;
  if (layer === 'failover') return `hello ${id}`;
  if (expected === 'no answer') return '';
  return expected.startsWith('hello ') ? expected : null;
}

/** Blocks one family of the dual-stack pod around the probe of a failover, as the run does. */
function renderCutLines({cluster}: Plan, {family}: CheckResult) {
  const [pattern, unspecified] = family === 'ipv6' ? [':', '::'] : ['-v :', '0.0.0.0'];
  const rule = (verb: '-I' | '-D') =>
    quoteCommand(
      buildCutCommand('$node', verb, unspecified).map(word =>
        word === unspecified ? '$pod' : word
      )
    );
  return {
    before: [
      `pod=$(kubectl get pods -n dual-stack -l app=tcp-echo -o jsonpath='{.items[0].status.podIPs[*].ip}' | tr ' ' '\\n' | grep -m 1 ${pattern})`,
      'cut() {',
      ...renderNodeLoop(cluster.name, rule('-I')),
      '}',
      'mend() {',
      ...renderNodeLoop(cluster.name, rule('-D')),
      '}',
      `check '${family} to the dual-stack pod is blocked' cut`
    ],
    after: [`check '${family} is restored' mend`]
  };
}

/** Adds the ClusterIPs to the ServiceEntry before the probe of an overlap, as the run does. */
function renderOverlapLines() {
  const patch = buildPatchCommand({ipv4: '$ipv4', ipv6: '$ipv6'});
  const clusterIp = (family: string) =>
    `${family}=$(kubectl get service tcp-echo -n ${family} -o jsonpath='{.spec.clusterIPs[0]}')`;
  return {
    before: [
      clusterIp('ipv4'),
      clusterIp('ipv6'),
      `check 'the ServiceEntry has the ClusterIPs too' ${quoteCommand(patch.slice(0, -1))} "${(patch.at(-1) ?? '').replaceAll('"', '\\"')}"`,
      'sleep 3 # until it takes effect'
    ],
    after: []
  };
}
