import {clientSample, renderPathServiceYaml} from '../manifests/documented-samples.ts';
import type {ExtraSample} from '../manifests/extra-sample.ts';
import {families} from '../results/results.ts';
import {defineCheck, type LayerChecks, type MeshCheckInput} from './definition.ts';
import {createProofsAt, diagnoseWithoutSidecar, findClusterIp, listPodIps} from './echo.ts';
import {meshClient} from './probe.ts';
import {prove} from './prove.ts';

const from = {kind: 'Deployment', namespace: clientSample.namespace, name: 'sleep'};

/** The dual-stack pods by each family alone. */
export const pathSample: ExtraSample = {
  namespace: 'dual-stack',
  sidecars: true,
  manifests: () => families.map(renderPathServiceYaml).join('---\n')
};

/** Each family of the dual-stack pods, on the port that is STRICT: Envoy carries their dual-stack Service over one family only. */
export const path: LayerChecks<MeshCheckInput> = {
  layer: 'path',
  grid: {title: 'Pods of', named: true},
  attribution: {
    class: 'connectivity',
    hint: 'One family between the pods is dead, which the dual-stack echo cannot show: Envoy carries that Service over the other family.',
    headline: family => `${family || 'Traffic'} between sidecars is dead`,
    evidence: (failed, all) => {
      const {hint, headline} = diagnoseWithoutSidecar(failed, all);
      return hint === undefined || headline === undefined
        ? {}
        : {
            headline,
            hint: `The dual-stack echo cannot show it: Envoy carries it over the other family. ${hint}`
          };
    }
  },
  samples: [pathSample],
  definitions: families.map(family =>
    defineCheck(
      'path',
      `path/dual-stack/${family}`,
      `the dual-stack pods carry traffic over ${family} under mutual TLS`,
      `hello path/dual-stack/${family}`,
      {
        family,
        from,
        to: {kind: 'Service', namespace: 'dual-stack', name: `tcp-echo-${family}`}
      }
    )
  ),
  run: async (input, selected) => {
    const pods = listPodIps(input, 'dual-stack');
    const proofs = selected.flatMap(check => {
      const address = findClusterIp(
        input,
        'dual-stack',
        check.to?.name ?? '',
        check.family ?? 'ipv4'
      );
      return createProofsAt(input, check, address, 9001, pods);
    });
    await prove(meshClient, proofs, input);
  }
};
