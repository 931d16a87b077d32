import type {Layer} from '../results/results.ts';
import type {CheckDefinition} from './definition.ts';

/** What is asked of sidecars, or by a client that has one. */
const sidecarLayers: Layer[] = [
  ...(['xds', 'proxy', 'cni', 'path', 'mtls', 'failover', 'health', 'http', 'headless'] as const),
  ...(['egress', 'gateway', 'dns-proxy', 'upgrade', 'uninstall', 'docs'] as const)
];

/** What can be asked of a data plane at all. */
export const filterByMode = (
  mode: 'sidecar' | 'ambient',
  definitions: CheckDefinition[]
): CheckDefinition[] =>
  definitions.filter(({id, layer, expected}) =>
    mode === 'sidecar'
      ? layer !== 'ambient'
      : !sidecarLayers.includes(layer) && !(id.endsWith('/sidecar') && expected !== 'none')
  );
