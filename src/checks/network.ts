import {ofFamily} from '../base/kube.ts';
import {type Checks, type Preflight, row} from './row.ts';

const command = ['docker', 'network', 'inspect', 'kind'];
const id = 'network/kind/families';

/** kind makes an IPv4-only network silently when Docker cannot do IPv6, and reuses one unchecked. */
export const network: Checks<Preflight> = {
  layer: 'network',
  blame: {
    class: 'infrastructure',
    hint: 'Remove the network (`docker network rm kind`), and let Docker do IPv6: kind makes it anew with both families.',
    headline: () => 'Docker’s network `kind` lacks a family'
  },
  rows: [
    row(
      'network',
      id,
      'The `kind` network is absent, or has both families',
      'absent, or an IPv4 and an IPv6 subnet'
    )
  ],
  look: async ({sh, tell}) => {
    const {code, stdout} = await sh(command, {seconds: 20});
    const reproduce = command.join(' ');
    if (code !== 0) {
      tell(id, {observed: 'absent', verdict: 'passed', reproduce});
      return;
    }
    const subnets = subnetsOf(stdout);
    const dual = ofFamily(subnets, 'ipv4') !== undefined && ofFamily(subnets, 'ipv6') !== undefined;
    const observed = subnets.join(', ') || 'no subnet';
    tell(id, {
      observed,
      verdict: dual ? 'passed' : 'failed',
      reason: dual ? null : `the network \`kind\` has only ${observed}`,
      reproduce
    });
  }
};

function subnetsOf(text: string): string[] {
  let networks: unknown;
  try {
    networks = JSON.parse(text);
  } catch {
    return [];
  }
  const configs = (Array.isArray(networks) ? networks : []).flatMap(
    network => network?.IPAM?.Config ?? []
  );
  return configs.map(config => `${config?.Subnet}`);
}
