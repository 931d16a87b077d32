/** Checks of Istio's control plane. */
import {
  type Deployment,
  filterByKind,
  findCondition,
  getAddressFamily,
  getClusterIps,
  type Istio,
  listObjects,
  type Pod,
  type Service
} from '../base/kube.ts';
import {CommandError, runUntilComplete} from '../base/sh.ts';
import {cniNamespace, istioNamespace} from '../manifests/istio-resources.ts';
import type {Plan} from '../plan/plan.ts';
import type {Place} from '../results/results.ts';
import {compareImages} from './compare-images.ts';
import {
  type Attribution,
  compare,
  defineCheck,
  type LayerChecks,
  type MeshCheckInput,
  skip
} from './definition.ts';

/** The objects of the control plane in the cluster. */
interface ControlPlaneObjects {
  istio: Istio | undefined;
  deployment: Deployment | undefined;
  service: Service | undefined;
}

// istiod's monitoring port, through the API server: this needs no program in its image
const versionPath = ({namespace, istiod}: Plan['istio']): string =>
  `/api/v1/namespaces/${namespace}/services/${istiod}:15014/proxy/version`;

const place = (kind: string, name: string, namespace = istioNamespace): Place => ({
  kind,
  namespace,
  name
});

const aspects: {
  id: string;
  title: string;
  expected: string;
  to: Place;
  observe: (seen: ControlPlaneObjects) => string;
  reproduce: (istio: Plan['istio']) => string;
  attribution: Partial<Attribution>;
}[] = [
  {
    id: 'control-plane/istio/healthy',
    title: 'The Istio resource is Healthy',
    expected: 'Healthy',
    to: place('Istio', 'default', ''),
    observe: ({istio}) => istio?.status?.state ?? 'none',
    reproduce: ({resource}) => `kubectl get istio ${resource} -o yaml`,
    attribution: {
      hint: "Read the conditions of the Istio resource, then the operator's log in diagnostics/.",
      headline: 'The Istio resource is not Healthy'
    }
  },
  {
    id: 'control-plane/istiod/available',
    title: 'istiod is available',
    expected: 'available',
    to: place('Deployment', 'istiod'),
    observe: ({deployment}) =>
      deployment?.status.availableReplicas ? 'available' : 'no replica is available',
    reproduce: ({namespace}) => `kubectl get pods -n ${namespace}`,
    attribution: {
      hint: `Read the events and the log of istiod's pods in diagnostics/. Until istiod is available, proxies keep their old configuration, and new pods get no sidecar.`,
      headline: 'istiod is not available'
    }
  },
  {
    id: 'control-plane/istiod/dual-stack',
    title: 'istiod has ISTIO_DUAL_STACK',
    expected: 'ISTIO_DUAL_STACK=true',
    to: place('Deployment', 'istiod'),
    observe: ({deployment}) => `ISTIO_DUAL_STACK=${getDualStackEnv(deployment) ?? ''}`,
    reproduce: ({namespace, istiod}) => `kubectl get deployment ${istiod} -n ${namespace} -o yaml`,
    attribution: {
      hint: 'Set `pilot.env.ISTIO_DUAL_STACK` and `meshConfig.defaultConfig.proxyMetadata.ISTIO_DUAL_STACK` to "true" in the values of the Istio resource. `istio-values` may have overwritten them.',
      headline: 'Dual-stack is off in istiod: ISTIO_DUAL_STACK is not true'
    }
  },
  {
    id: 'control-plane/istiod/service',
    title: 'The Service istiod is RequireDualStack with a ClusterIP of each family',
    expected: 'RequireDualStack, ipv4, ipv6',
    to: place('Service', 'istiod'),
    observe: ({service}) =>
      [service?.spec.ipFamilyPolicy, ...getClusterIps(service).map(getAddressFamily).sort()].join(
        ', '
      ),
    reproduce: ({namespace, istiod}) => `kubectl get service ${istiod} -n ${namespace} -o yaml`,
    attribution: {
      hint: 'Set `pilot.ipFamilyPolicy` to RequireDualStack in the values of the Istio resource. `istio-values` may have overwritten it.',
      headline: 'The Service of istiod is not dual-stack'
    }
  }
];

const version = 'control-plane/istiod/version';
const cni = 'control-plane/istio-cni/ready';
const imageId = 'control-plane/istiod/image-id';

/** Checks of the Istio resource, and of the objects that the operator creates from it. */
export const controlPlane: LayerChecks<MeshCheckInput> = {
  layer: 'control-plane',
  attribution: {
    class: 'istio',
    hint: 'Read the Istio resource and the log of istiod in diagnostics/.',
    headline: () => 'Istio’s control plane differs from the expected state'
  },
  definitions: [
    ...aspects.map(({id, title, expected, to, attribution}) =>
      defineCheck('control-plane', id, title, expected, {to, attribution})
    ),
    defineCheck(
      'control-plane',
      version,
      'istiod has the requested version',
      'the requested version',
      {
        to: place('Deployment', 'istiod'),
        attribution: {
          hint: 'Check `spec.version` of the Istio resource, and the image of istiod. `istio-values` may set another image.',
          headline: 'istiod has another version than the requested one'
        }
      }
    ),
    defineCheck(
      'control-plane',
      imageId,
      'istiod runs the expected image, by name and by id if the id is known',
      'the expected image',
      {
        to: place('Deployment', 'istiod')
      }
    ),
    defineCheck('control-plane', cni, 'IstioCNI is ready', 'ready', {
      to: place('IstioCNI', 'default', cniNamespace),
      attribution: {
        hint: 'Read the conditions of the IstioCNI resource, then the DaemonSet `istio-cni-node`.',
        headline: 'IstioCNI is not ready'
      }
    })
  ],
  run: async ({plan, preloaded, sh, snapshot, report}) => {
    const {namespace, istiod, resource} = plan.istio;
    const [[istio], said] = await Promise.all([
      resource === null ? [] : listObjects<Istio>(sh, 'istios.sailoperator.io', resource),
      fetchVersion(plan.istio, sh)
    ]);
    const seen: ControlPlaneObjects = {
      istio,
      deployment: named(istiod, filterByKind(snapshot, 'Deployment', namespace)),
      service: named(istiod, filterByKind(snapshot, 'Service', namespace))
    };
    for (const {id, expected, observe, reproduce} of aspects) {
      const observed = observe(seen);
      const reason = observed.startsWith('no ') ? {reason: observed} : {};
      report(
        id,
        compare(expected, observed, {
          reproduce: reproduce(plan.istio),
          ...(observed !== expected && reason)
        })
      );
    }
    const requested = plan.istio.expected ?? istio?.spec.version ?? '';
    report(
      version,
      compare(
        requested,
        said instanceof CommandError ? 'no answer' : parseVersion(said, requested),
        {
          reproduce: `kubectl get --raw ${versionPath(plan.istio)}`,
          ...(said instanceof CommandError && {reason: said.message, attribution: unreached})
        }
      )
    );
    const pods = filterByKind(snapshot, 'Pod', namespace).filter(
      ({metadata}) => metadata.labels?.app === 'istiod'
    );
    const {images} = plan.istio;
    const expectedImage = ({metadata}: Pod, container: string) =>
      container === 'discovery' && metadata.name.startsWith(`${istiod}-`) ? images.istiod : '';
    report(imageId, await compareImages(pods, preloaded, sh, expectedImage));
    report(
      cni,
      plan.istio.cni
        ? await checkCni(sh)
        : skip('this run does not use IstioCNI: `istio-cni` is not true')
    );
  }
};

/** Returns the version that istiod reports, `1.30.3-56df41f-Clean`, or the error after the last retry. */
const fetchVersion = (
  istio: Plan['istio'],
  sh: MeshCheckInput['sh']
): Promise<string | CommandError> =>
  runUntilComplete(
    sh,
    ['kubectl', 'get', '--raw', versionPath(istio)],
    ({code, stdout}) => (code === 0 ? stdout.trim() : null),
    {seconds: 20}
  ).catch(error => {
    if (error instanceof CommandError) return error;
    throw error;
  });

/** The attribution when istiod did not return its version. */
const unreached: Partial<Attribution> = {
  class: 'infrastructure',
  hint: 'The API server cannot reach istiod through its Service on port 15014. Check that istiod runs, that the control plane reaches pods, and that this user may use `services/proxy`.',
  headline: 'istiod did not return its version'
};

/** The object with this name, or else with this name as a prefix of a revision's. */
const named = <One extends Deployment | Service>(wanted: string, objects: One[]): One | undefined =>
  objects.find(({metadata}) => metadata.name === wanted) ??
  objects.find(({metadata}) => metadata.name.startsWith(wanted));

const getDualStackEnv = (deployment: Deployment | undefined): string | undefined =>
  deployment?.spec.template.spec.containers
    .flatMap(({env = []}) => env)
    .find(({name}) => name === 'ISTIO_DUAL_STACK')?.value;

/** `1.30.3-56df41f-Clean` → `v1.30.3`. A requested commit build has a shorter hash than istiod reports: returns the requested version. */
function parseVersion(said: string, requested: string): string {
  const [, found] = /^v?(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)[\w.]*)?)/.exec(said) ?? [];
  if (found === undefined) return said;
  const build = /-alpha\.[0-9a-f]{8,}$/.test(requested) && `v${found}`.startsWith(requested);
  return build ? requested : `v${found}`;
}

async function checkCni(sh: MeshCheckInput['sh']) {
  const [found] = await listObjects<Istio>(sh, 'istiocnis.sailoperator.io', 'default');
  const ready = findCondition('Ready', found?.status?.conditions);
  return compare('ready', ready?.status === 'True' ? 'ready' : `${ready?.reason ?? 'no status'}`, {
    reproduce: 'kubectl get istiocni default -o yaml'
  });
}
