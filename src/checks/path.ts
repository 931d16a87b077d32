/** Checks that the dual-stack pods carry traffic over each family. */
import {getAddressFamily} from '../base/kube.ts';
import {clientSample, renderPathServiceYaml} from '../manifests/documented-samples.ts';
import type {ExtraSample} from '../manifests/extra-sample.ts';
import {type CheckResult, families, familyNames} from '../results/results.ts';
import {defineCheck, type LayerChecks, type MeshCheckInput} from './definition.ts';
import {createProofsAt, diagnoseWithoutSidecar, findClusterIp, listPodIps} from './echo.ts';
import {meshClient} from './probe.ts';
import {prove} from './prove.ts';

const from = {kind: 'Deployment', namespace: clientSample.namespace, name: 'sleep'};

/** A single-stack Service of each family for the dual-stack pods. */
export const pathSample: ExtraSample = {
  namespace: 'dual-stack',
  sidecars: true,
  manifests: () => families.map(renderPathServiceYaml).join('---\n')
};

/** Probes each family on the STRICT port, because Envoy sends the traffic of a dual-stack Service over one family only. */
export const path: LayerChecks<MeshCheckInput> = {
  layer: 'path',
  grid: {title: 'Pods of', named: true},
  attribution: {
    class: 'connectivity',
    hint: 'A Service of one family does not reach the dual-stack pods. Check the EndpointSlices of that Service, then the proxies of client and server in diagnostics/.',
    headline: family => `${family ? `${family} traffic` : 'Traffic'} between sidecars fails`,
    evidence: (failed, all) => {
      const {hint, headline} = diagnoseWithoutSidecar(failed, all);
      if (hint === undefined || headline === undefined || failed.family === null) return {};
      const table = failed.family === 'ipv6' ? 'ip6tables' : 'iptables';
      return {
        headline,
        hint: [
          `The pods of \`${failed.target}\` do not answer over ${familyNames[failed.family]}.`,
          `A client without a sidecar gets no answer from them either (\`mtls/${failed.target}/${failed.family}-control\`), which rules out the sidecar of the client.`,
          ...describeEcho(failed, all),
          `Check the ${table} rules and the routes of the node in diagnostics/, then the sidecar of the server pod.`
        ].join(' ')
      };
    }
  },
  samples: [pathSample],
  definitions: families.map(family =>
    defineCheck(
      'path',
      `path/dual-stack/${family}`,
      `The dual-stack pods answer over ${family} with mutual TLS`,
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

/** Names the echo of the same pods that still passes, with the addresses that its connections reached. */
function describeEcho({target, family}: CheckResult, all: CheckResult[]): string[] {
  const echo = all.find(({id}) => id === `echo/${target}/${family}`);
  const upstreams = echo?.upstream?.split(', ') ?? [];
  const isDetour = upstreams.length > 0 && upstreams.every(ip => getAddressFamily(ip) !== family);
  if (echo?.verdict !== 'passed' || !isDetour) return [];
  return [`The echo \`${echo.id}\` passes, because its connections go to ${upstreams.join(', ')}.`];
}
