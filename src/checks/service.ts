/** Checks of the IP families of the samples' Services. */
import {filterByKind, getAddressFamily, getClusterIps, type Service} from '../base/kube.ts';
import {compare, defineCheck, type LayerChecks, type MeshCheckInput} from './definition.ts';

const to = (namespace: string) => ({to: {kind: 'Service', namespace, name: 'tcp-echo'}});

const policies = [
  {
    target: 'dual-stack',
    policy: 'RequireDualStack',
    title: "The Service's ipFamilyPolicy is, as documented,"
  },
  {target: 'ipv4', policy: 'SingleStack', title: "The Service's ipFamilyPolicy is"},
  {target: 'ipv6', policy: 'SingleStack', title: "The Service's ipFamilyPolicy is"}
];
const families: Record<string, string> = {'dual-stack': 'ipv4, ipv6', ipv4: 'ipv4', ipv6: 'ipv6'};

/** The checks of the samples' Services. */
export const service: LayerChecks<MeshCheckInput> = {
  layer: 'service',
  attribution: {
    class: 'connectivity',
    hint: 'The Service differs from its sample. Check its ipFamilyPolicy and ipFamilies, and who changed them (`kubectl get service -o yaml --show-managed-fields`).',
    headline: family =>
      `Services do not have the expected ${family ? `${family} address` : 'IP families'}`
  },
  definitions: [
    ...policies.map(({target, policy, title}) =>
      defineCheck('service', `service/${target}/policy`, `${title} ${policy}`, policy, to(target))
    ),
    ...Object.entries(families).map(([target, expected]) =>
      defineCheck(
        'service',
        `service/${target}/families`,
        'The Service has one ClusterIP of each of its families, and no other',
        expected,
        to(target)
      )
    )
  ],
  run: async ({snapshot, report}, selected) => {
    for (const {id, target, expected} of selected) {
      const found = filterByKind(snapshot, 'Service', target).find(
        ({metadata}) => metadata.name === 'tcp-echo'
      );
      const observed = found
        ? id.endsWith('/policy')
          ? getIpFamilyPolicy(found)
          : formatFamilies(found)
        : 'no such Service';
      report(
        id,
        compare(expected, observed, {
          reproduce: `kubectl get service tcp-echo -n ${target} -o yaml`
        })
      );
    }
  }
};

export const getIpFamilyPolicy = ({spec}: Service): string => spec.ipFamilyPolicy ?? 'none';

/** Returns the families of the Service's ClusterIPs, sorted; for a headless Service, its `ipFamilies`. */
export const formatFamilies = (service: Service): string => {
  const {spec} = service;
  const addresses = getClusterIps(service);
  const families = isHeadless(spec)
    ? (spec.ipFamilies ?? []).map(family => family.toLowerCase())
    : addresses.map(getAddressFamily);
  return families.sort().join(', ') || 'none';
};

export const isHeadless = ({clusterIPs = []}: Service['spec']): boolean =>
  clusterIPs.includes('None');
