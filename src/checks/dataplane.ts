/** Selects the checks that a data plane mode supports. */
import type {Layer} from '../results/results.ts';
import type {CheckDefinition} from './definition.ts';

/** Layers that check sidecars, or use a client with a sidecar. */
const sidecarLayers: Layer[] = [
  ...(['xds', 'proxy', 'cni', 'path', 'mtls', 'failover', 'health', 'http', 'headless'] as const),
  ...(['egress', 'gateway', 'dns-proxy', 'upgrade', 'uninstall', 'docs'] as const)
];

/** Returns the checks that a data plane mode supports. */
export const filterByMode = (
  mode: 'sidecar' | 'ambient',
  definitions: CheckDefinition[]
): CheckDefinition[] =>
  definitions.filter(({id, layer, expected}) =>
    mode === 'sidecar'
      ? layer !== 'ambient'
      : !sidecarLayers.includes(layer) && !(id.endsWith('/sidecar') && expected !== 'none')
  );
