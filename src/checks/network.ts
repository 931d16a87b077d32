/** Checks that Docker's network `kind` supports both families. */
import {findByFamily} from '../base/kube.ts';
import {buildNetworkCommand, getNetworkName, parseSubnets} from '../manifests/kind.ts';
import {defineCheck, type LayerChecks, type PreflightInput, skip} from './definition.ts';

const id = 'network/kind/families';

/** Without IPv6 in Docker, kind silently creates an IPv4-only network; it also reuses an existing network unchecked. */
export const network: LayerChecks<PreflightInput> = {
  layer: 'network',
  attribution: {
    class: 'infrastructure',
    hint: 'Enable IPv6 in Docker, and remove the network with `docker network rm kind`. kind creates it again with both families.',
    headline: () => 'Docker’s network `kind` lacks a family'
  },
  definitions: [
    defineCheck(
      'network',
      id,
      'The Docker network `kind` does not exist, or has both families',
      'absent, or an IPv4 and an IPv6 subnet'
    )
  ],
  run: async ({sh, report}) => {
    const command = buildNetworkCommand();
    const {code, stdout, stderr} = await sh(command, {seconds: 20});
    const reproduce = command.join(' ');
    if (code !== 0) {
      const absent = /no such network|not found/i.test(stderr);
      report(
        id,
        absent
          ? {observed: 'absent', verdict: 'passed', reproduce}
          : skip(`Docker did not report its networks: ${stderr.trim() || 'no response in time'}`)
      );
      return;
    }
    const subnets = parseSubnets(stdout);
    const dual =
      findByFamily(subnets, 'ipv4') !== undefined && findByFamily(subnets, 'ipv6') !== undefined;
    const observed = subnets.join(', ') || 'no subnet';
    report(id, {
      observed,
      verdict: dual ? 'passed' : 'failed',
      reason: dual ? null : `the network \`${getNetworkName()}\` has only ${observed}`,
      reproduce
    });
  }
};
