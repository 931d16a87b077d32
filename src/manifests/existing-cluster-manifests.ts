/** Labels, permissions and manifests for a run in an existing cluster. */
import {stringify} from 'yaml';
import type {Values} from '../inputs/readers.ts';

/** The label of every object that a run creates in an existing cluster. Cleanup finds the objects by it. */
export const runLabel = 'dual-stack-check/run';

/** The label of namespaces with sidecars, which cleanup removes before Istio. */
export const samplesLabel = 'dual-stack-check/samples';

export const getRunLabels = (run: string): Record<string, string> => ({[runLabel]: run});

/** Values that make istiod ignore the namespaces of other users. */
export const buildDiscoveryValues = (run: string): Values => ({
  meshConfig: {discoverySelectors: [{matchLabels: getRunLabels(run)}]}
});

/** The selector of the ConfigMaps that istiod creates in every namespace and never removes. */
export const configMapSelector = 'istio.io/config=true';

/** A Service for a server-side dry run, which shows whether the cluster allocates addresses of both families. */
export const renderDualStackServiceYaml = (): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name: 'dual-stack-check', namespace: 'default'},
    spec: {ipFamilyPolicy: 'RequireDualStack', ports: [{port: 9000}]}
  });

/** A permission that the run needs. */
export interface Permission {
  verb: string;
  /** `RESOURCE.GROUP` or `RESOURCE`, optionally with a subresource after a slash. */
  resource: string;
  /** Needed only to install this component; absent: always. */
  for?: 'operator' | 'istio';
  /** The namespace of the permission; absent: all namespaces. */
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

/** The permissions for a run, in all namespaces, because its own do not exist yet. */
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

/** The permissions for checks of existing Services, for each namespace. */
export const getReadPermissions = (namespaces: string[]): Permission[] =>
  namespaces.flatMap(namespace =>
    expandPermissions('list', 'services pods endpointslices.discovery.k8s.io').map(right => ({
      ...right,
      namespace
    }))
  );

/** The permissions to read the configuration of the proxies. */
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
