/** Checks that Istio uninstalls cleanly. */
import {listObjects} from '../base/kube.ts';
import {pollForAtMost} from '../base/wait.ts';
import {istioNamespace} from '../manifests/istio-resources.ts';
import {compare, defineCheck, type LayerChecks, type MeshCheckInput} from './definition.ts';

const id = 'uninstall/istio/namespace';
const deletion = ['kubectl', 'delete', 'istios.sailoperator.io', 'default', '--timeout=60s'];
const kinds = 'deployments,pods,services,serviceaccounts';

/** Seconds until the namespace must be empty, after the resource is deleted. */
const patience = 60;

/** Runs only on request, and last: the mesh is gone afterwards. */
export const uninstall: LayerChecks<MeshCheckInput> = {
  layer: 'uninstall',
  attribution: {
    class: 'operator',
    hint: "Check the operator's log for objects that it could not delete.",
    headline: () => 'Istio does not uninstall cleanly'
  },
  definitions: [
    defineCheck('uninstall', id, 'Deleting the Istio resource empties its namespace', 'empty', {
      to: {kind: 'Istio', namespace: '', name: 'default'}
    })
  ],
  run: async ({sh, work, report}) => {
    const {code, stderr} = await sh(deletion, {seconds: 90});
    const left = await pollForAtMost(
      work,
      {seconds: patience, for: left => `deletion of objects: ${left.length} left`, every: 1},
      async () => {
        const objects = await listObjects<{kind: string; metadata: {name: string}}>(
          sh,
          kinds,
          '-n',
          istioNamespace
        );
        // Kubernetes creates this one in every namespace
        return objects.filter(
          ({kind, metadata}) => !(kind === 'ServiceAccount' && metadata.name === 'default')
        );
      },
      left => left.length === 0 || code !== 0
    );
    const names = left.map(({kind, metadata}) => `${kind} ${metadata.name}`).join(', ');
    report(
      id,
      compare('empty', code === 0 ? names || 'empty' : stderr.trim(), {
        reproduce: deletion.join(' ')
      })
    );
  }
};
