import * as path from 'node:path';
import {join, quote} from 'shlex';
import {redact} from '../base/log.ts';
import {meshClient, reproduceProbe} from '../checks/probe.ts';
import {workloads} from '../manifests/samples.ts';
import {createCommand, deleteCommand} from '../phases/cluster.ts';
import {importCommand, saveCommand} from '../phases/images.ts';
import {applyCommand} from '../phases/mesh.ts';
import {installCommand} from '../phases/operator.ts';
import type {Plan} from '../plan/plan.ts';

/** The same run as a shell script, one step after the other: a pure function of the plan. */
export function script(plan: Plan): string {
  const here = relocated(plan);
  const lines = [
    '#!/usr/bin/env bash',
    `# The run of the dual-stack Action by hand: Sail Operator ${plan.operator.version}, Istio ${plan.istio.expected ?? 'as the operator has it'}.`,
    '# Needs docker, kind, kubectl and helm on PATH. KEEP=1 keeps the cluster.',
    'set -euo pipefail',
    'work=$(mktemp -d)',
    'export KUBECONFIG=$work/kubeconfig',
    'leave() {',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: bash reads it
    '  if [ -n "${KEEP:-}" ]; then echo "kept; export KUBECONFIG=$KUBECONFIG"; return; fi',
    `  ${line(deleteCommand(plan.cluster.name, '$work/kubeconfig'))}`,
    '  rm -rf "$work"',
    '}',
    '',
    ...Object.entries(plan.files).flatMap(([name, text]) => heredoc(name, text)),
    '',
    '# the cluster',
    line(createCommand(here)).replace('kubeconfig.kind', 'kubeconfig'),
    'trap leave EXIT',
    'kubectl wait --for=condition=Ready nodes --all --timeout=2m',
    '',
    '# images that the local Docker has',
    ...Object.values(plan.images)
      .flat()
      .flatMap(image => stream(image, plan.cluster.nodes)),
    '',
    '# the Sail Operator',
    ...(plan.operator.url === null
      ? []
      : [`helm pull ${quote(redact(plan.operator.url))} --destination "$work"`]),
    `${line(installCommand(here)).replace(' --skip-crds', '')} --wait --timeout 3m`,
    '',
    '# Istio',
    line(applyCommand(here, 'namespaces.yaml')),
    line(applyCommand(here, 'istio.yaml')),
    "kubectl wait --for=jsonpath='{.status.state}'=Healthy istios.sailoperator.io/default --timeout=3m",
    '',
    '# the samples',
    line(applyCommand(here, 'services.yaml')),
    line(applyCommand(here, 'plain.yaml')),
    line(applyCommand(here, 'samples.yaml')),
    ...workloads.map(
      ({namespace, app}) => `kubectl rollout status deployment/${app} -n ${namespace} --timeout=2m`
    ),
    '',
    '# the documented validations',
    '[ "$(kubectl get service tcp-echo -n dual-stack -o jsonpath=\'{.spec.ipFamilyPolicy}\')" = RequireDualStack ]',
    ...['dualstack', 'ipv4', 'ipv6'].map(echo),
    ''
  ];
  return lines.join('\n');
}

/** The plan with its files under `$work`. */
function relocated(plan: Plan): Plan {
  const {cluster, operator} = plan;
  return {
    ...plan,
    directory: '$work',
    cluster: {...cluster, kubeconfig: '$work/kubeconfig'},
    operator: {
      ...operator,
      chart:
        operator.url === null
          ? operator.chart
          : `$work/${path.basename(new URL(operator.url).pathname)}`
    }
  };
}

/** A command as a shell reads it; `$work/` at the beginning of an argument is meant as the variable. */
const line = (command: string[]): string =>
  command
    .map(argument =>
      argument.startsWith('$work/')
        ? `"$work"/${quote(argument.slice('$work/'.length))}`
        : quote(argument)
    )
    .join(' ');

function heredoc(name: string, text: string): string[] {
  let end = 'EOF';
  while (text.split('\n').includes(end)) end += '_';
  return [`cat >"$work/${name}" <<'${end}'`, text.trimEnd(), end];
}

const stream = (image: string, nodes: string[]): string[] =>
  nodes.map(
    node =>
      `if docker image inspect ${join([image])} >/dev/null 2>&1; then ${line(saveCommand([image]))} | ${line(importCommand(node))}; fi`
  );

function echo(word: string): string {
  const target = word === 'dualstack' ? 'dual-stack' : word;
  const probe = reproduceProbe(meshClient, {word, address: `tcp-echo.${target}`, port: 9000});
  return `[ "$(${probe})" = 'hello ${word}' ]`;
}
