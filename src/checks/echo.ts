import {ofFamily, ofKind} from '../base/kube.ts';
import {client, servers} from '../manifests/samples.ts';
import type {Family} from '../results/results.ts';
import {meshClient} from './probe.ts';
import {type Proof, prove} from './prove.ts';
import {type Checking, type Checks, type Finding, type Row, row} from './row.ts';

const families: Family[] = ['ipv4', 'ipv6'];
const word = (target: string): string => target.replace('-', ''); // as the documentation spells it
const from = {kind: 'Deployment', namespace: client.namespace, name: 'sleep'};
const to = (namespace: string) => ({from, to: {kind: 'Service', namespace, name: 'tcp-echo'}});
const seed = (target: string): string => (target === 'dual-stack' ? 'seed 5' : 'seed 6');

/** The documented echoes by name, then each ClusterIP by its literal address. */
export const echo: Checks<Checking> = {
  layer: 'echo',
  rows: servers.flatMap(({namespace: target}) => [
    row(
      'echo',
      `echo/${target}/name`,
      `${seed(target)}: sleep reaches tcp-echo.${target} by name`,
      `hello ${word(target)}`,
      to(target)
    ),
    ...families
      .filter(family => target === 'dual-stack' || target === family)
      .map(family =>
        row(
          'echo',
          `echo/${target}/${family}`,
          `sleep reaches the ${family} ClusterIP of tcp-echo.${target}`,
          `hello echo/${target}/${family}`,
          {family, ...to(target)}
        )
      )
  ]),
  look: async (checking, asked) => {
    const proofs: Proof[] = [];
    for (const row of asked) {
      const pods = podIps(checking, row.target);
      const address =
        row.family === null
          ? `tcp-echo.${row.target}`
          : clusterIp(checking, row.target, 'tcp-echo', row.family);
      if (address === undefined) checking.tell(row.id, absent(row));
      else
        proofs.push({
          row,
          probe: {word: row.expected.replace('hello ', ''), address, port: 9000},
          pods
        });
    }
    await prove(meshClient, proofs, checking, checking.plan.probes.retries);
  }
};

/** A Service's ClusterIP of one family. */
export function clusterIp(
  {things}: Checking,
  namespace: string,
  name: string,
  family: Family
): string | undefined {
  const service = ofKind(things, 'Service', namespace).find(({metadata}) => metadata.name === name);
  return ofFamily(service?.spec.clusterIPs ?? [], family);
}

/** An address that should be there and is not. */
export const absent = ({to, family}: Row): Finding => ({
  observed: 'no ClusterIP',
  verdict: 'failed',
  reason: `Service ${to?.namespace}/${to?.name} has no ${family} ClusterIP`,
  reproduce: `kubectl get service ${to?.name} -n ${to?.namespace} -o yaml`
});

/** All addresses of the echo pods of a namespace, in the pods' order. */
export const podIps = ({things}: Checking, namespace: string): string[] =>
  ofKind(things, 'Pod', namespace)
    .filter(({metadata}) => metadata.labels?.app === 'tcp-echo')
    .flatMap(({status}) => status.podIPs ?? [])
    .map(({ip}) => ip);
