/** Builds the phases of a run that only checks the Services of `targets`. */
import * as path from 'node:path';
import type {Phase} from '../base/schedule.ts';
import {createMatcher} from '../checks/catalogue.ts';
import {createTargetChecks, readTarget, type TargetService} from '../checks/targets.ts';
import type {Target as Asked} from '../inputs/readers.ts';
import {surveyTargets, writeOwnKubeconfig} from '../phases/survey.ts';
import {provideTool} from '../phases/tools.ts';
import {chooseTargets} from '../plan/target-services.ts';
import {createCheckPhase, createPreflightInput} from './graph.ts';
import {type RunContext, required} from './run-context.ts';
import {selectChecks} from './select-checks.ts';

/** How many Services are read in parallel, each by its own kubectl. */
const maxConcurrentReads = 8;

/** The phases that check existing Services. They create and change nothing. */
export function buildTargetPhases(run: RunContext, requested: Asked[]): Phase[] {
  const inputs = required(run.inputs, 'inputs');
  const directory = required(run.directory, 'directory');
  const targets: TargetService[] = [];
  let noExecNamespaces: string[] = [];
  return [
    {
      name: 'kubectl',
      needs: [],
      run: async () => {
        run.tools.kubectl = await provideTool('kubectl', inputs, run.sh);
      }
    },
    {
      name: 'survey',
      needs: ['kubectl'],
      run: async () => {
        const file = path.join(directory, 'kubeconfig');
        run.targetCluster = {...(await writeOwnKubeconfig(inputs, file, run.sh)), services: []};
        const found = await surveyTargets(requested, directory, run.sh);
        run.kubernetes = found.kubernetes;
        noExecNamespaces = found.noExecNamespaces;
        run.targetCluster.services = chooseTargets(requested, found);
        const definitions = createTargetChecks(run.targetCluster.services).flatMap(
          ({definitions}) => definitions
        );
        run.ledger.selected = selectChecks(() => definitions.filter(createMatcher(inputs.checks)));
      }
    },
    {
      name: 'look',
      needs: ['survey'],
      run: async () => {
        const services = run.targetCluster?.services ?? [];
        for (let at = 0; at < services.length; at += maxConcurrentReads)
          targets.push(
            ...(await Promise.all(
              services
                .slice(at, at + maxConcurrentReads)
                .map(service => readTarget(service, run.sh))
            ))
          );
      }
    },
    ...createTargetChecks([]).map(checks =>
      createCheckPhase(run, checks, ['look'], false, work => ({
        ...createPreflightInput(run, work),
        targets,
        noExecNamespaces
      }))
    )
  ];
}
