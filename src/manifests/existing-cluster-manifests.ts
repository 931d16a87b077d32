import {stringify} from 'yaml';
import type {Values} from '../inputs/readers.ts';

/** What is made in a cluster that was there before: by this label it is found again, and removed. */
export const runLabel = 'dual-stack-check/run';

/** Of the namespaces that go before Istio does: their pods have its sidecars. */
export const samplesLabel = 'dual-stack-check/samples';

export const getRunLabels = (run: string): Record<string, string> => ({[runLabel]: run});

/** So istiod leaves everybody else's namespaces alone, while it has its configuration. */
export const buildDiscoveryValues = (run: string): Values => ({
  meshConfig: {discoverySelectors: [{matchLabels: getRunLabels(run)}]}
});

/** By this istiod labels the ConfigMaps that it puts into every namespace, and never takes away. */
export const configMapSelector = 'istio.io/config=true';

/** Asked for by a dry run: the API server says whether it can give out addresses of both families. */
export const renderDualStackServiceYaml = (): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name: 'dual-stack-check', namespace: 'default'},
    spec: {ipFamilyPolicy: 'RequireDualStack', ports: [{port: 9000}]}
  });

/** Something that this run must be allowed to do. */
export interface Permission {
  verb: string;
  /** `RESOURCE.GROUP` or `RESOURCE`; what follows a slash is a subresource. */
  resource: string;
  /** Only where that is to be installed. */
  for?: 'operator' | 'istio';
  /** In that namespace alone; absent: in all. */
  namespace?: string;
}

const expandPermissions = (
  verbs: string,
  resources: string,
  which?: Permission['for']
): Permission[] =>
  resources
    .split(' ')
    .flatMap(resource =>
      verbs.split(' ').map(verb => ({verb, resource, ...(which !== undefined && {for: which})}))
    );

/** In all namespaces: ours are not made yet. */
export const requiredPermissions: Permission[] = [
  ...expandPermissions(
    'list',
    'namespaces nodes pods deployments.apps services endpointslices.discovery.k8s.io'
  ),
  ...expandPermissions('list', 'mutatingwebhookconfigurations.admissionregistration.k8s.io'),
  ...expandPermissions('create delete', 'namespaces'),
  ...expandPermissions('create', 'services serviceaccounts deployments.apps pods/exec'),
  ...expandPermissions('create', 'peerauthentications.security.istio.io'),
  ...expandPermissions('create delete', 'istios.sailoperator.io', 'istio'),
  ...expandPermissions('list delete', 'configmaps', 'istio'),
  ...expandPermissions(
    'create delete',
    'secrets customresourcedefinitions.apiextensions.k8s.io',
    'operator'
  ),
  ...expandPermissions('create delete', 'clusterroles.rbac.authorization.k8s.io', 'operator'),
  ...expandPermissions('create delete', 'clusterrolebindings.rbac.authorization.k8s.io', 'operator')
];

/** What looking at Services takes in each of their namespaces. */
export const getReadPermissions = (namespaces: string[]): Permission[] =>
  namespaces.flatMap(namespace =>
    expandPermissions('list', 'services pods endpointslices.discovery.k8s.io').map(right => ({
      ...right,
      namespace
    }))
  );

/** With it the proxies can be asked what they were told. */
export const getExecPermissions = (namespaces: string[]): Permission[] =>
  namespaces.flatMap(namespace =>
    expandPermissions('create', 'pods/exec').map(right => ({...right, namespace}))
  );

export const renderAccessReviewsYaml = (wanted: Permission[]): string =>
  wanted
    .map(({verb, resource: what, namespace}) => {
      const [full = '', subresource] = what.split('/');
      const [resource, ...group] = full.split('.');
      return stringify({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: {
          resourceAttributes: {
            verb,
            resource,
            group: group.join('.'),
            ...(subresource !== undefined && {subresource}),
            ...(namespace !== undefined && {namespace})
          }
        }
      });
    })
    .join('---\n');
