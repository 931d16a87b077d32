/** Chooses the Services that `targets` selects. */
import {createInputFault} from '../base/fault.ts';
import type {Service} from '../base/kube.ts';
import {maxTargets, type Target} from '../inputs/readers.ts';
import type {Permission} from '../manifests/existing-cluster-manifests.ts';

/** The state of the namespaces of the targets. */
export interface ServiceSurvey {
  /** Version of the API server, `v1.34.4`. */
  kubernetes: string;
  /** The read permissions that the kubeconfig lacks. */
  denied: Permission[];
  /** Namespaces without permission to exec, whose proxies the checks cannot read. */
  noExecNamespaces: string[];
  services: Service[];
}

/** A valid Service name. Users paste commands that contain it. */
const isName = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The selected Services without duplicates. Pure. Throws a Fault of class `input` for a missing Service or a missing permission. */
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
    const reason =
      named.length > 0
        ? 'this one is an ExternalName, without addresses'
        : 'this one does not exist';
    const others = own.map(({metadata}) => metadata.name);
    return [
      name === null
        ? `Invalid \`targets\` "${namespace}/*": expected a namespace with at least one Service that has addresses`
        : `Invalid \`targets\` "${namespace}/${name}": expected an existing Service with addresses; ${reason} (Services in ${namespace}: ${formatNames(others)})`
    ];
  });
  if (problems.length > 0) throw createInputFault(problems.join('\n'));
  if (chosen.size > maxTargets)
    throw createInputFault(
      `Invalid \`targets\`: expected at most ${maxTargets} Services, but they select ${chosen.size}`
    );
  return [...chosen];
}

function refuseDenied(denied: Permission[]): void {
  if (denied.length === 0) return;
  const rights = denied.map(({verb, resource, namespace}) => `${verb} ${resource} in ${namespace}`);
  throw createInputFault(
    `Invalid \`kubeconfig\`: expected a user that may ${rights.join(', ')} (\`kubectl auth can-i --list -n NAMESPACE\` lists the permissions)`
  );
}

const formatNames = (names: string[]): string =>
  names.length === 0 ? 'none' : `${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}`;
