/** Builds the phases of a run and their dependencies. */
import {randomUUID} from 'node:crypto';
import * as path from 'node:path';
import {CheckFailed, Fault} from '../base/fault.ts';
import {type KubeObject, listObjects} from '../base/kube.ts';
import {logLine} from '../base/log.ts';
import type {Phase, PhaseContext} from '../base/schedule.ts';
import {CommandError} from '../base/sh.ts';
import {pollUntil} from '../base/wait.ts';
import {meshChecks, preflightChecks, standingChecks} from '../checks/catalogue.ts';
import type {LayerChecks, MeshCheckInput, PreflightInput} from '../checks/definition.ts';
import {type RunningLoad, startLoad} from '../checks/upgrade.ts';
import type {Values} from '../inputs/readers.ts';
import type {Workload} from '../manifests/extra-sample.ts';
import {getNodeNames} from '../manifests/kind.ts';
import {claimName, releaseName} from '../phases/claim.ts';
import {
  cordon,
  createCluster,
  describeLeftoverClusters,
  listContainers,
  refuseCgroup1,
  refuseTakenClusterName,
  uncordon
} from '../phases/create-cluster.ts';
import {deployMoreSamples, deploySamples, readSamples} from '../phases/deploy-samples.ts';
import {provideChart} from '../phases/fetch-chart.ts';
import {createGatewayCrds, fetchGatewayCrds} from '../phases/install-gateway-api.ts';
import {createCrds, installOperator} from '../phases/install-operator.ts';
import {
  findLocalImages,
  findSnapshotter,
  getImagesDirectory,
  importImages,
  pullImages,
  saveImages
} from '../phases/load-images.ts';
import {copyLoginsToNodes, findLogins, readDockerConfig} from '../phases/logins.ts';
import {
  applyOnceServed,
  buildApplyCommand,
  buildDeleteCommand,
  waitForAmbient,
  waitForIstiod,
  waitUntilHealthy
} from '../phases/mesh.ts';
import {
  optimizePodNetwork,
  unpackImages,
  waitForApiServer,
  waitForContainerd,
  waitForServices
} from '../phases/prepare-node.ts';
import {provideTool} from '../phases/tools.ts';
import {
  filterProxied,
  restartWorkloads,
  upgradeMesh,
  waitForRevisionTag
} from '../phases/upgrade-mesh.ts';
import {dockerEndpointCommand, refuseRemoteDocker} from '../plan/environment.ts';
import {getPlanAfterUpgrade, type ImageUser, type Plan, type Upgrade} from '../plan/plan.ts';
import {type RunContext, required} from './run-context.ts';

/** The phases before the plan, and the checks that must pass before the run creates anything. */
export function buildPreparations(run: RunContext): Phase[] {
  const inputs = required(run.inputs, 'inputs');
  const gates = inputs['dry-run']
    ? []
    : preflightChecks.map(checks =>
        createCheckPhase(run, checks, [], true, work => createPreflightInput(run, work))
      );
  const tool = (name: 'kind' | 'kubectl' | 'helm'): Phase => ({
    name,
    needs: [],
    run: async () => {
      run.tools[name] = await provideTool(name, inputs, run.sh);
    }
  });
  return [
    ...gates,
    tool('kind'),
    tool('kubectl'),
    tool('helm'),
    {
      name: 'chart',
      needs: ['helm', ...gates.map(({name}) => name)],
      run: async work => {
        run.chart = await provideChart(inputs, required(run.directory, 'directory'), work, run.sh);
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

/** All phases after the plan, each with the phases that it needs. */
export function buildPhases(run: RunContext, plan: Plan): Phase[] {
  const {sh, ledger} = run;
  const {upgrade} = plan;
  const requiredImages = Object.values(plan.images).flat();
  const standingPhases = (fatal: boolean): Phase[] =>
    standingChecks
      .filter(entry => entry.fatal === fatal)
      .map(({checks, needs}) =>
        createCheckPhase(run, checks, needs, fatal, work => ({
          ...createPreflightInput(run, work),
          preloaded: run.preloaded,
          plan
        }))
      );
  const gates = standingPhases(true);
  const resources: Phase[] = // of Istio and the Gateway API, if a check needs some
    plan.files['resources.yaml'] === undefined
      ? []
      : [
          {
            name: 'resources',
            needs: ['namespaces', 'uncordon'],
            run: work => applyOnceServed(plan, 'resources.yaml', work, sh)
          }
        ];
  const gatewayApi: Phase[] = plan.gatewayApi
    ? [
        {
          name: 'gateway api',
          needs: [],
          run: () => fetchGatewayCrds(plan, required(run.inputs, 'inputs').mirror, sh)
        },
        {
          name: 'gateway crds', // while the operator starts
          needs: ['gateway api', 'uncordon'],
          run: () => createGatewayCrds(plan, sh)
        }
      ]
    : [];
  const ambient: Phase[] = plan.istio.ambient
    ? [{name: 'ambient', needs: ['istiod'], run: work => waitForAmbient(plan, work, sh)}]
    : [];
  const all: Phase[] = [
    {name: 'name', needs: [], run: () => claimClusterName(run, plan)},
    {
      name: 'cluster',
      needs: ['name'],
      run: async work => {
        await createCluster(plan, work, sh, run.save);
        run.save({made: true, containers: await listContainers(plan.cluster.name, sh)});
        await releaseClusterName(run); // from now on the containers show that the name is taken
      }
    },
    {
      name: 'images',
      needs: ['name'],
      run: async () => {
        run.localImages = await findLocalImages(requiredImages, plan.otherNames, sh);
      }
    },
    {
      name: 'containerd',
      needs: ['name'],
      run: async work => {
        await waitForContainerd(plan.cluster, work, sh);
        run.snapshotter = await findSnapshotter(plan.cluster.nodes[0] ?? '', sh);
      }
    },
    {
      name: 'api',
      needs: ['containerd'],
      run: async work => {
        run.kubernetes = await waitForApiServer(plan.cluster, work, sh);
      }
    },
    {
      name: 'logins',
      needs: ['containerd'],
      run: async work => {
        run.logins = await findLogins(plan, await readDockerConfig(process.env), work, sh);
        await copyLoginsToNodes(plan, run.logins, sh);
      }
    },
    {
      name: 'pulls', // of images that the local Docker lacks; no phase needs them, because the kubelet pulls too
      needs: ['images', 'logins'],
      run: async () => {
        const local = required(run.localImages, 'images');
        const missing = requiredImages.filter(image => !local.has(image));
        await pullImages(missing, plan.cluster.nodes, required(run.logins, 'logins'), sh);
      }
    },
    {
      name: 'unpack',
      needs: ['containerd'],
      run: work => unpackImages(plan.cluster, required(run.snapshotter, 'snapshotter'), work, sh)
    },
    // after the control plane's images, because everything waits for the API server
    ...buildImagePhases(run, plan, 'operator', ['unpack'], []),
    {name: 'namespaces', needs: ['api'], run: () => applyFile(run, plan, 'namespaces.yaml')},
    {name: 'crds', needs: ['api'], run: () => createCrds(plan, sh)},
    {name: 'pod network', needs: ['api'], run: work => optimizePodNetwork(plan.cluster, work, sh)},
    {name: 'kube-proxy', needs: ['api'], run: work => waitForServices(plan.cluster, work, sh)},
    // the operator's pod must start after its CRDs, its image and the API server's Service: else it crashes and backs off
    // for 10 s
    {name: 'cordon', needs: ['api'], run: work => cordon(plan.cluster, work, sh)},
    {name: 'operator', needs: ['cordon'], run: work => installOperator(plan, work, sh)},
    ...gates,
    {
      name: 'uncordon',
      needs: [
        'crds',
        'operator',
        'kube-proxy',
        'pod network',
        'images: operator',
        'logins',
        ...gates.map(({name}) => name)
      ],
      run: () => uncordon(plan.cluster, sh)
    },
    // in the order of need, while kube-proxy and the operator start and leave the processors idle. Imports run one at a
    // time, in parallel with the next archive
    ...buildImagePhases(run, plan, 'istiod', ['operator'], ['uncordon']),
    ...buildImagePhases(run, plan, 'samples', ['save: istiod', 'uncordon'], ['images: istiod']),
    {
      name: 'istio',
      needs: ['crds', 'namespaces', 'images: istiod'],
      run: work => applyOnceServed(plan, 'istio.yaml', work, sh)
    },
    // the following phases are not urgent: the start of the operator takes longest
    {
      name: 'services',
      needs: ['namespaces', 'uncordon'],
      run: () => applyFile(run, plan, 'services.yaml')
    },
    {
      name: 'strict',
      needs: ['namespaces', 'uncordon'],
      run: work => applyOnceServed(plan, 'strict.yaml', work, sh)
    },
    ...gatewayApi,
    ...resources,
    {
      name: 'istiod',
      needs: ['istio', 'uncordon'],
      run: work => waitForIstiod(plan, work, sh)
    },
    {
      name: 'mesh',
      needs: ['istiod'],
      run: async work => {
        run.istio = await waitUntilHealthy(work, sh);
      }
    },
    ...(upgrade?.strategy === 'RevisionBased'
      ? [
          {
            name: 'revision tag',
            needs: ['mesh'], // operator 1.30.3 never reconciles a tag that was created before the revision
            run: async (work: PhaseContext) => {
              await applyOnceServed(plan, 'revision-tag.yaml', work, sh);
              await waitForRevisionTag(upgrade.strategy, upgrade.revisions[0], work, sh);
            }
          }
        ]
      : []),
    ...ambient,
    {
      name: 'plain samples', // need no webhook
      needs: ['services', 'images: samples'],
      run: () => applyFile(run, plan, 'plain.yaml')
    },
    {
      name: 'samples',
      needs: [
        ...(upgrade?.strategy === 'RevisionBased' ? ['revision tag'] : ['istiod']),
        'services',
        'images: samples',
        ...ambient.map(({name}) => name)
      ],
      run: work => deploySamples(plan, work, sh)
    },
    {
      name: 'look',
      needs: ['samples', 'plain samples', ...resources.map(({name}) => name)],
      run: work => takeSnapshot(run, work)
    },
    // the documentation's samples start first, and their checks run while the others start
    ...(plan.extraWorkloads.length === 0
      ? []
      : [
          {
            name: 'more samples',
            needs: ['look', ...gatewayApi.map(({name}) => name)],
            run: (work: PhaseContext) =>
              deployMoreSamples(plan, work, sh, () => ledger.firstFailed?.layer ?? null)
          },
          {
            name: 'look again',
            needs: ['more samples'],
            run: (work: PhaseContext) => takeSnapshot(run, work)
          }
        ]),
    ...standingPhases(false),
    ...meshChecks.map(({checks, after}) =>
      createCheckPhase(
        run,
        checks,
        [hasMoreSamples(plan, checks) ? 'look again' : 'look', ...after],
        false,
        work => ({
          ...createPreflightInput(run, work),
          ...getMeshInput(run),
          plan
        })
      )
    ),
    ...(upgrade ? buildUpgradePhases(run, plan, upgrade) : []),
    {
      name: 'strict off', // leaves no trace where the cluster is kept
      needs: [
        'strict',
        ...['mtls', 'path', 'gateway'].map(
          layer => `check ${layer}${upgrade ? afterUpgradeSuffix : ''}`
        )
      ],
      run: async () => {
        await sh(buildDeleteCommand(plan, 'strict.yaml'), {seconds: 30});
      }
    }
  ];
  const isSelected = (name: string): boolean =>
    name.endsWith(afterUpgradeSuffix)
      ? run.ledgerAfterUpgrade.getSelected(name.slice(6, -afterUpgradeSuffix.length)).length > 0
      : ledger.getSelected(name.slice(6)).length > 0;
  return omitPhases(
    plan.cluster.tuned ? all : withoutOptimizations(all),
    ({name}) => name.startsWith('check ') && !isSelected(name)
  );
}

/** The name suffix of phases that run a second time. */
const afterUpgradeSuffix = ' after the upgrade';

/** The upgrade under load, and a second run of all mesh checks. A broken mesh is not upgraded: the result would prove nothing. */
function buildUpgradePhases(run: RunContext, plan: Plan, upgrade: Upgrade): Phase[] {
  const {sh, ledger, ledgerAfterUpgrade} = run;
  const after = getPlanAfterUpgrade(plan);
  const workloads = () =>
    filterProxied([...plan.workloads, ...plan.extraWorkloads], required(run.snapshot, 'snapshot'));
  const isServer = ({namespace, app}: Workload) =>
    namespace === loadServer.namespace && app === loadServer.app;
  const createCheckPhaseAfterUpgrade = (
    checks: LayerChecks<MeshCheckInput>,
    needs: string[],
    createInput: (work: PhaseContext) => MeshCheckInput
  ): Phase => ({
    ...createCheckPhase({...run, ledger: ledgerAfterUpgrade}, checks, needs, false, createInput),
    name: `check ${checks.layer}${afterUpgradeSuffix}`
  });
  const given = (work: PhaseContext): MeshCheckInput => ({
    ...createPreflightInput(run, work),
    report: ledgerAfterUpgrade.report,
    ...getMeshInput(run),
    plan: after
  });
  return [
    ...buildImagePhases(run, plan, 'upgrade', ['save: samples', 'uncordon'], ['images: samples']),
    {
      name: 'upgrade',
      needs: [
        'mesh',
        'look',
        'images: upgrade',
        ...standingChecks.map(({checks}) => `check ${checks.layer}`),
        ...meshChecks
          .map(({checks}) => checks)
          .filter(({layer}) => !/^(upgrade|uninstall)$/.test(layer))
          .map(({layer}) => `check ${layer}`)
      ],
      run: async work => {
        if (ledger.firstFailed) throw new CheckFailed(ledger.firstFailed.id);
        run.load = await startLoad(given(work), ledgerAfterUpgrade.getSelected('upgrade'));
        await endLoadOnError(run.load, async ({begin, drain}) => {
          await begin('istiod');
          run.istio = await upgradeMesh(plan, upgrade, work, sh);
          work.reportWait('connections that the new istiod may have cut');
          await drain();
        });
      }
    },
    {
      name: 'restart',
      needs: ['upgrade'],
      run: async work => {
        const load = required(run.load, 'load');
        await endLoadOnError(load, async ({begin}) => {
          await begin('restart');
          await restartWorkloads(workloads().filter(isServer), work, sh);
        });
        await load.end();
      }
    },
    {
      name: 'restart of the rest', // with the client of the load
      needs: ['restart'],
      run: work =>
        restartWorkloads(
          workloads().filter(one => !isServer(one)),
          work,
          sh
        )
    },
    {
      name: `look${afterUpgradeSuffix}`,
      needs: ['restart of the rest'],
      run: work => takeSnapshot(run, work)
    },
    ...standingChecks
      .filter(({fatal}) => !fatal)
      .map(({checks}) =>
        createCheckPhaseAfterUpgrade(checks, [`look${afterUpgradeSuffix}`], given)
      ),
    ...meshChecks.map(({checks, after}) =>
      createCheckPhaseAfterUpgrade(
        checks,
        [
          `look${afterUpgradeSuffix}`,
          ...after.filter(name => name !== 'mesh').map(name => `${name}${afterUpgradeSuffix}`)
        ],
        given
      )
    )
  ];
}

/** The server that receives the load. */
const loadServer = {namespace: 'dual-stack', app: 'tcp-echo'};

/** Runs an action under load, and ends the load if the action fails, so that its results so far are reported. */
async function endLoadOnError(
  load: RunningLoad,
  act: (load: RunningLoad) => Promise<void>
): Promise<void> {
  try {
    await act(load);
  } catch (error) {
    await load.end().catch(() => {}); // report the first error
    throw error;
  }
}

/** The phases without optimizations: the operator is installed after everything that its pod needs. */
function withoutOptimizations(phases: Phase[]): Phase[] {
  const operator = phases.filter(({name}) => name === 'operator');
  const inOrder = phases.flatMap(phase => {
    if (phase.name === 'operator') return [];
    if (phase.name !== 'uncordon') return [phase];
    const needs = phase.needs.filter(need => need !== 'operator');
    return [...operator.map(one => ({...one, needs})), {...phase, needs: ['operator']}];
  });
  return omitPhases(inOrder, ({name}) => optimizations.includes(name));
}

const optimizations = ['pulls', 'unpack', 'pod network', 'cordon', 'uncordon'];

/** Reads from the API server all objects that the checks need. */
async function takeSnapshot(run: RunContext, work: PhaseContext): Promise<void> {
  run.snapshot = await pollUntil(work, async () => ({
    is: 'done',
    value: (
      await Promise.all(
        listSnapshotScopes(required(run.plan, 'plan')).map(([kinds = '', ...scope]) =>
          listObjects<KubeObject>(run.sh, kinds, ...scope)
        )
      )
    ).flat()
  }));
}

/**
 * The arguments of the `kubectl get` commands for a snapshot. In an existing cluster, all pods may exceed the output
 * limit: only Services, which affect every proxy, and nodes are read cluster-wide.
 */
export function listSnapshotScopes({existing, istio, workloads, extraWorkloads}: Plan): string[][] {
  if (existing === null) return [['nodes,deployments,pods,services,endpointslices', '-A']];
  const ours = [istio, ...workloads, ...extraWorkloads].map(({namespace}) => namespace);
  return [
    ...[...new Set(ours)].map(name => ['deployments,pods,endpointslices', '-n', name]),
    ['services', '-A'],
    ['nodes'] // for their addresses
  ];
}

/** Whether the checks of a layer need pods besides the documentation's samples. */
const hasMoreSamples = ({extraWorkloads}: Plan, {samples = []}: LayerChecks<never>): boolean =>
  samples.some(sample => extraWorkloads.some(({namespace}) => namespace === sample.namespace));

/** The input of all checks. */
export const createPreflightInput = (
  {sh, ledger, inputs}: RunContext,
  work: PhaseContext
): PreflightInput => ({
  work,
  sh,
  report: ledger.report,
  nodes: getNodeNames('', inputs?.['kind-config'] ?? {}).length
});

/** The additional input of mesh checks. */
const getMeshInput = (run: RunContext) => ({
  snapshot: required(run.snapshot, 'snapshot'),
  mirror: run.inputs?.mirror ?? null,
  preloaded: run.preloaded,
  undo: (undo: string[][]) => run.save({undo})
});

/** Removes phases. A phase that needs a removed one inherits its needs. */
export function omitPhases(phases: Phase[], isUnwanted: (phase: Phase) => boolean): Phase[] {
  const resolveNeeds = (need: string): string[] => {
    const phase = phases.find(({name}) => name === need);
    return phase && isUnwanted(phase) ? phase.needs.flatMap(resolveNeeds) : [need];
  };
  return phases
    .filter(phase => !isUnwanted(phase))
    .map(phase => ({...phase, needs: [...new Set(phase.needs.flatMap(resolveNeeds))]}));
}

/** The phase that runs the checks of a layer. If they are `fatal`, a failed check ends the run. */
export function createCheckPhase<Given>(
  {ledger}: RunContext,
  {layer, run}: LayerChecks<Given>,
  needs: string[],
  fatal: boolean,
  createInput: (work: PhaseContext) => Given
): Phase {
  return {
    name: `check ${layer}`,
    needs,
    run: async work => {
      await run(createInput(work), ledger.getSelected(layer));
      const failed = fatal ? ledger.findFailedIn(layer) : undefined;
      if (failed) throw new CheckFailed(failed.id);
    }
  };
}

/** Checks that Docker can run the cluster and that its name is free, reserves the name, and saves it for post. Throws a Fault. */
async function claimClusterName(run: RunContext, {cluster}: Plan): Promise<void> {
  const {name, config} = cluster;
  const {stdout} = await run.sh(dockerEndpointCommand, {seconds: 20});
  refuseRemoteDocker(stdout.trim(), (config.networking as Values | undefined)?.apiServerAddress);
  await refuseCgroup1(cluster, run.sh);
  run.claim = {name, token: randomUUID()};
  run.save({claim: run.claim});
  await claimName(name, run.claim.token, run.sh);
  const others = describeLeftoverClusters(await refuseTakenClusterName(name, run.sh)); // after the claim: no other run can now create a cluster of this name
  if (others !== null) logLine(run.clock(), 'name', others);
  run.save({cluster: name, nodes: cluster.nodes.length});
}

async function releaseClusterName({claim, sh, save}: RunContext): Promise<void> {
  const {name, token} = required(claim, 'claim');
  await releaseName(name, token, sh);
  save({claim: null});
}

/** The phases that archive the local images of one user, and import them into the nodes. */
function buildImagePhases(
  run: RunContext,
  plan: Plan,
  user: ImageUser,
  saveNeeds: string[],
  importNeeds: string[]
) {
  const file = path.join(getImagesDirectory(plan.directory), `${user}.tar`);
  const getLocalImages = () => {
    const local = required(run.localImages, 'images');
    return new Map([...local].filter(([image]) => plan.images[user].includes(image)));
  };
  return [
    {
      name: `save: ${user}`,
      needs: ['images', ...saveNeeds],
      run: async () => {
        for (const [image, id] of await saveImages(getLocalImages(), file, run.sh))
          run.preloaded.set(image, id);
      }
    },
    {
      name: `images: ${user}`,
      needs: [`save: ${user}`, ...importNeeds],
      run: () =>
        importImages(
          getLocalImages(),
          file,
          plan.cluster.nodes,
          required(run.snapshotter, 'snapshotter'),
          run.sh
        )
    }
  ];
}

async function applyFile({sh}: RunContext, plan: Plan, file: string): Promise<void> {
  const command = buildApplyCommand(plan, file);
  const output = await sh(command, {seconds: 60});
  if (output.code === 0) return;
  if (!/RequireDualStack|not configured for dual-stack/.test(output.stderr))
    throw new CommandError(command, output);
  throw new Fault(`the cluster is not dual-stack: ${output.stderr.trim()}`, {
    class: 'infrastructure',
    layer: 'node',
    hint: 'Pods and Services need a network of each family. For a kind cluster, check `kind-config` and the Docker network `kind`.',
    reproduce: "kubectl get nodes -o jsonpath='{.items[*].spec.podCIDRs}'"
  });
}
