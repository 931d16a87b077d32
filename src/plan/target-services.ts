import {createInputFault} from '../base/fault.ts';
import type {Service} from '../base/kube.ts';
import {maxTargets, type Target} from '../inputs/readers.ts';
import type {Permission} from '../manifests/existing-cluster-manifests.ts';

/** What was found of the namespaces in which Services are to be looked at. */
export interface ServiceSurvey {
  /** Version of the API server, `v1.34.4`. */
  kubernetes: string;
  /** What this kubeconfig may not read. */
  denied: Permission[];
  /** Namespaces whose proxies may not be asked: nobody may exec there. */
  noExecNamespaces: string[];
  services: Service[];
}

/** As the API server takes it: commands that people paste have it in them. */
const isName = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The Services that were asked for, once each. Pure. Throws a Fault of class `input` for what is not there, or cannot be read. */
export function chooseTargets(
  targets: Target[],
  {denied, services}: Pick<ServiceSurvey, 'denied' | 'services'>
): Service[] {
  refuseDenied(denied);
  const chosen = new Set<Service>();
  const problems = targets.flatMap(({namespace, name}) => {
    const own = services.filter(({metadata}) => metadata.namespace === namespace);
    const named = own.filter(({metadata}) => name === null || metadata.name === name);
    const selected = named.filter(
      ({metadata, spec}) => isName.test(metadata.name) && spec.type !== 'ExternalName'
    );
    for (const service of selected) chosen.add(service);
    if (selected.length > 0) return [];
    const what =
      named.length > 0 ? 'which is an ExternalName, without addresses' : 'which is not there';
    const others = own.map(({metadata}) => metadata.name);
    return [
      name === null
        ? `targets: found ${namespace}/*, and no Service with addresses in that namespace; accepted is a namespace that has one`
        : `targets: found ${namespace}/${name}, ${what}; accepted is a Service of that namespace (${formatNames(others)})`
    ];
  });
  if (problems.length > 0) throw createInputFault(problems.join('\n'));
  if (chosen.size > maxTargets)
    throw createInputFault(
      `targets: found ${chosen.size} Services by them; accepted are at most ${maxTargets}`
    );
  return [...chosen];
}

function refuseDenied(denied: Permission[]): void {
  if (denied.length === 0) return;
  const rights = denied.map(({verb, resource, namespace}) => `${verb} ${resource} in ${namespace}`);
  throw createInputFault(
    `kubeconfig: found a user that may not ${rights.join(', ')}; accepted is one that may (\`kubectl auth can-i --list -n NAMESPACE\` tells)`
  );
}

const formatNames = (names: string[]): string =>
  names.length === 0
    ? 'it has none'
    : `${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}`;
