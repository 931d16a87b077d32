/** Builds the phases of a run in an existing cluster. */
import * as path from 'node:path';
import type {Phase} from '../base/schedule.ts';
import {listSkippedChecks} from '../checks/skip-on-existing.ts';
import {readSamples} from '../phases/deploy-samples.ts';
import {provideChart} from '../phases/fetch-chart.ts';
import {createMissingCrds, createNamespaces} from '../phases/in-cluster.ts';
import {installOperator} from '../phases/install-operator.ts';
import {surveyCluster, writeOwnKubeconfig} from '../phases/survey.ts';
import {provideTool} from '../phases/tools.ts';
import {
  describeInstalledChart,
  type ExistingCluster,
  planExistingCluster
} from '../plan/existing-cluster.ts';
import type {Plan} from '../plan/plan.ts';
import type {InCluster} from '../plan/state.ts';
import {buildPhases, omitPhases} from './graph.ts';
import {type RunContext, required} from './run-context.ts';

/** The phases before the plan for an existing cluster. They change nothing in it. */
export function buildExistingClusterPreparations(run: RunContext): Phase[] {
  const inputs = required(run.inputs, 'inputs');
  const directory = required(run.directory, 'directory');
  const tool = (name: 'kubectl' | 'helm'): Phase => ({
    name,
    needs: [],
    run: async () => {
      run.tools[name] = await provideTool(name, inputs, run.sh);
    }
  });
  return [
    tool('kubectl'),
    tool('helm'),
    {
      name: 'survey',
      needs: ['kubectl'],
      run: async () => {
        const where = await writeOwnKubeconfig(inputs, path.join(directory, 'kubeconfig'), run.sh);
        run.found = await surveyCluster(where, directory, run.sh);
        run.kubernetes = run.found.kubernetes;
        run.existing = planExistingCluster(inputs, run.found);
        for (const {id, reason} of listSkippedChecks(run.ledger.selected, run.existing))
          run.ledger.markSkipped(id, reason);
      }
    },
    {
      name: 'chart',
      needs: ['helm', 'survey'],
      run: async work => {
        const existing = required(run.existing, 'existing');
        run.chart = existing.installs.operator
          ? await provideChart(inputs, directory, work, run.sh)
          : describeInstalledChart(existing);
      }
    },
    {
      name: 'sample files',
      needs: [],
      run: async () => {
        run.samples = await readSamples(inputs);
      }
    }
  ];
}

/** Phases that only a new kind cluster needs: its creation and the optimizations. */
const kindOnlyPhasePattern =
  /^(name|cluster|images|logins|containerd|api|pulls|unpack|pod network|kube-proxy|cordon|uncordon|(save|images): .*)$/;

/** The graph without the phases of kind and of existing parts. The run creates nothing before the checks of the nodes pass. */
export function buildExistingClusterPhases(
  run: RunContext,
  plan: Plan,
  existing: ExistingCluster
): Phase[] {
  const {installs} = existing;
  const isUnwanted = (name: string) =>
    kindOnlyPhasePattern.test(name) ||
    (!installs.operator && /^(crds|operator)$/.test(name)) ||
    (!installs.istio && /^(istio|istiod|mesh)$/.test(name));
  const here = omitPhases(buildPhases(run, plan), ({name}) => isUnwanted(name));
  const gates = here.filter(({name}) => name === 'check node');
  const created: InCluster = {
    run: existing.run,
    operator: false,
    configMaps: installs.istio ? existing.found.configMaps : null,
    tools: Object.values(run.tools).map(({directory}) => directory)
  };
  const overrides: Record<string, Omit<Phase, 'name'>> = {
    namespaces: {
      needs: gates.map(({name}) => name),
      run: async () => {
        run.save({existing: created});
        await createNamespaces(plan, run.sh);
      }
    },
    crds: {needs: ['namespaces'], run: () => createMissingCrds(plan, existing.run, run.sh)},
    operator: {
      needs: ['crds'],
      run: async work => {
        run.save({existing: {...created, operator: true}});
        await installOperator(plan, work, run.sh);
      }
    }
  };
  const rest = here.filter(phase => !gates.includes(phase));
  return [...gates, ...rest.map(phase => ({...phase, ...overrides[phase.name]}))];
}
