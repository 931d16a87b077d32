import * as path from 'node:path';
import type {Service} from '../base/kube.ts';
import {CommandError} from '../base/sh.ts';
import {gatewayNamespace} from '../manifests/gateway.ts';
import {fetchPublished} from './published.ts';
import {type Checking, compare, type Finding, type Row, row, skip} from './row.ts';

/** Of Helm's release, and so of the Service; the gateway's own in that namespace has another one. */
const name = 'gateway-chart';
const asked = {policy: 'RequireDualStack', families: ['IPv6', 'IPv4']};
const expected = `${asked.policy}, ${asked.families.join(' before ')}, an address of each`;

/** Istio's own chart for gateways, which is not the operator's to install: its Service is as dual-stack as its values say. */
export const gatewayChartRow: Row = row(
  'gateway',
  'gateway/chart/service',
  "Istio's gateway chart makes a Service of the families that its values ask for",
  expected,
  {
    to: {kind: 'Service', namespace: gatewayNamespace, name},
    blame: {
      hint: 'The gateway chart that Istio publishes with this release does not pass `service.ipFamilyPolicy` or `service.ipFamilies` on to its Service (istio/istio#46679): give them to the Service after it was made.',
      headline: "Istio's gateway chart makes no dual-stack Service"
    }
  }
);

const renderCommand = (file: string): string[] => [
  ...['helm', 'template', name, file, '--namespace', gatewayNamespace],
  ...['--show-only', 'templates/service.yaml', '--set', 'service.type=ClusterIP'],
  ...['--set', `service.ipFamilyPolicy=${asked.policy}`],
  ...['--set', `service.ipFamilies={${asked.families.join(',')}}`]
];

/** The API server says what it would make of it, with addresses; nothing is made. */
const tryCommand = [
  ...['kubectl', 'create', '--dry-run=server', '--namespace', gatewayNamespace],
  ...['--output', 'json', '-f', '-']
];

/** What Helm may fill, in bytes: what is served is not pinned. */
const mostMemory = 1 << 30;

/** What Helm says of a file that is none of its archives, such as a page of a proxy's. */
const noChart = /gzip: invalid header|does not appear to be a|Chart\.yaml file is missing/i;

export async function gatewayChart(checking: Checking, rows: Row[]): Promise<void> {
  for (const {id} of rows) checking.tell(id, await look(checking));
}

async function look(checking: Checking): Promise<Finding> {
  const file = path.join(checking.plan.directory, `${name}.tgz`);
  const fetched = await fetchPublished(checking, 'gatewayChart', file);
  if ('verdict' in fetched) return fetched;
  const command = renderCommand(file);
  const output = await checking.sh(command, {
    into: tryCommand,
    seconds: 60,
    memory: mostMemory
  });
  if (output.late) throw new CommandError(command, output); // which says nothing of the chart
  const {code, stdout, stderr} = output;
  if (noChart.test(stderr)) return skip(`${fetched.url} is no chart: ${stderr.trim().slice(-300)}`);
  const reproduce = `curl -fsSLO ${fetched.url}; ${[...renderCommand(path.basename(fetched.url))].join(' ').replace(/\{.*\}/, "'$&'")} | ${tryCommand.join(' ')}`;
  if (code !== 0)
    return compare(expected, 'no Service', {
      reason: `the Service of the chart was not taken: ${stderr.trim().slice(-500)}`,
      reproduce
    });
  return compare(expected, serviceIn(stdout), {reproduce});
}

function serviceIn(text: string): string {
  try {
    const {ipFamilyPolicy, ipFamilies = [], clusterIPs = []} = (JSON.parse(text) as Service).spec;
    const each =
      clusterIPs.length === ipFamilies.length
        ? `an address of ${ipFamilies.length > 1 ? 'each' : 'it'}`
        : `${clusterIPs.length} addresses`;
    return `${ipFamilyPolicy}, ${ipFamilies.join(' before ')}, ${each}`;
  } catch {
    return 'no Service';
  }
}
