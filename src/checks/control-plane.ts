import {addressFamily, condition, type Deployment, get, ofKind, type Service} from '../kube.ts';
import {cniNamespace, istioNamespace} from '../manifests/istio.ts';
import type {Istio} from '../phases/mesh.ts';
import {must} from '../sh.ts';
import {type Checks, compare, row, type Standing, skip} from './row.ts';

const ids = {
  healthy: 'control-plane/istio/healthy',
  version: 'control-plane/istiod/version',
  dualStack: 'control-plane/istiod/dual-stack',
  service: 'control-plane/istiod/service',
  cni: 'control-plane/istio-cni/ready'
};
const istiod = (kind: string) => ({to: {kind, namespace: istioNamespace, name: 'istiod'}});

/** The Istio resource and what the operator made of it. */
export const controlPlane: Checks<Standing> = {
  layer: 'control-plane',
  rows: [
    row('control-plane', ids.healthy, 'The Istio resource is Healthy', 'Healthy', {
      to: {kind: 'Istio', namespace: '', name: 'default'}
    }),
    row(
      'control-plane',
      ids.version,
      'istiod has the version asked for',
      'the version asked for',
      istiod('Deployment')
    ),
    row(
      'control-plane',
      ids.dualStack,
      'istiod has ISTIO_DUAL_STACK',
      'ISTIO_DUAL_STACK=true',
      istiod('Deployment')
    ),
    row(
      'control-plane',
      ids.service,
      'The Service istiod is RequireDualStack with a ClusterIP of each family',
      'RequireDualStack, ipv4, ipv6',
      istiod('Service')
    ),
    row('control-plane', ids.cni, 'IstioCNI is ready', 'Healthy', {
      to: {kind: 'IstioCNI', namespace: cniNamespace, name: 'default'}
    })
  ],
  look: async ({plan, sh, tell}) => {
    const [things, [istio], version] = await Promise.all([
      get<Deployment | Service>(sh, 'deployments,services', '-n', istioNamespace),
      get<Istio>(sh, 'istios.sailoperator.io', 'default'),
      must(sh, ['kubectl', 'get', '--raw', versionPath], {seconds: 20}).catch(String)
    ]);
    tell(
      ids.healthy,
      compare('Healthy', istio?.status?.state ?? 'none', {
        reproduce: 'kubectl get istio default -o yaml'
      })
    );
    const asked = plan.istio.expected ?? istio?.spec.version ?? '';
    const [reported = version.trim()] =
      /^v?\d+\.\d+\.\d+(-(alpha|beta|rc)[\w.]*)?/.exec(version) ?? [];
    tell(
      ids.version,
      compare(asked, `v${reported.replace(/^v/, '')}`, {
        reproduce: `kubectl get --raw ${versionPath}`
      })
    );
    const deployment = ofKind(things, 'Deployment').find(({metadata}) =>
      metadata.name.startsWith('istiod')
    );
    const env = deployment?.spec.template.spec.containers.flatMap(container => container.env ?? []);
    const set = env?.find(({name}) => name === 'ISTIO_DUAL_STACK')?.value;
    tell(
      ids.dualStack,
      compare('ISTIO_DUAL_STACK=true', set === undefined ? 'not set' : `ISTIO_DUAL_STACK=${set}`, {
        reproduce: `kubectl get deployment -n ${istioNamespace} -o yaml`
      })
    );
    const service = ofKind(things, 'Service').find(({metadata}) =>
      metadata.name.startsWith('istiod')
    );
    const {ipFamilyPolicy = 'none', clusterIPs = []} = service?.spec ?? {};
    tell(
      ids.service,
      compare(
        'RequireDualStack, ipv4, ipv6',
        [ipFamilyPolicy, ...clusterIPs.map(addressFamily).sort()].join(', '),
        {reproduce: `kubectl get service istiod -n ${istioNamespace} -o yaml`}
      )
    );
    tell(
      ids.cni,
      plan.istio.cni ? await lookAtCni(sh) : skip('IstioCNI is not used: `istio-cni` is not true')
    );
  }
};

// istiod's monitoring port, by way of the API server: no program is needed in its image
const versionPath = `/api/v1/namespaces/${istioNamespace}/services/istiod:15014/proxy/version`;

async function lookAtCni(sh: Standing['sh']) {
  const [cni] = await get<Istio>(sh, 'istiocnis.sailoperator.io', 'default');
  const ready = condition('Ready', cni?.status?.conditions)?.status === 'True';
  return compare('Healthy', ready ? (cni?.status?.state ?? 'none') : 'not ready', {
    reproduce: 'kubectl get istiocni default -o yaml'
  });
}
