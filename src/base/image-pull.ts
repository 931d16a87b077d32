/** Classifies a failed image pull by the message of the kubelet. */
import {parseImage} from './image.ts';

type PullFailure =
  | 'never-pulled'
  | 'rate-limited'
  | 'name-not-resolved'
  | 'no-connection'
  | 'connection-broken'
  | 'timeout'
  | 'not-found'
  | 'denied'
  | 'server-error'
  | 'other';

// the first match wins: the registry's message comes before what containerd adds
const shapes: [PullFailure, RegExp][] = [
  ['never-pulled', /pull policy of Never/],
  ['rate-limited', /toomanyrequests|\b429\b/i],
  ['name-not-resolved', /no such host|server misbehaving|name resolution/i],
  ['no-connection', /connection refused|network is unreachable|no route to host/i],
  ['timeout', /\btimeout\b|deadline ?exceeded|context canceled/i],
  [
    'not-found',
    /manifest unknown|name unknown|manifest for .{0,500} not found|: not found|\b404 not found|\b410 gone|no match for platform|InvalidImageName|couldn't parse image/i
  ],
  [
    'denied',
    /\b40[13] (unauthorized|forbidden)|(?<!permission |[\w/."-])(denied|unauthorized)\b(?![-./\w])|insufficient_scope|failed to (authorize|fetch \w{1,20} token)/i
  ],
  ['connection-broken', /\bEOF\b|connection reset|broken pipe/],
  ['server-error', /\b50\d (internal|bad|service|gateway)/i]
];

/** The part of a message that is read, in characters: a registry may send a whole page. */
const longest = 4000;

export const classifyPullFailure = (message: string): PullFailure =>
  shapes.find(([, shape]) => shape.test(message.slice(0, longest)))?.[0] ?? 'other';

// Docker Hub's token endpoint sometimes returns 401 to a request that it accepts a moment later
const tokenRefused = /failed to (authorize|fetch \w{1,20} token)(?!.*\b403\b)/is;

/** Whether a retry would fail in the same way: the registry responded, and lacks the image or denies access. */
export function isPermanentPullFailure(message: string): boolean {
  const failure = classifyPullFailure(message);
  return (
    failure === 'not-found' ||
    (failure === 'denied' && !tokenRefused.test(message.slice(0, longest)))
  );
}

/** The cause, as the end of the sentence "The image … cannot be pulled: ". */
export function describePullFailure(message: string, image: string): string {
  const {registry} = parseImage(image);
  const excerpt = message.slice(0, longest);
  const [status = ''] = /\b(40[13]|404|410|50\d)\b/.exec(excerpt) ?? [];
  const withStatus = status === '' ? '' : ` (${status})`;
  return {
    'never-pulled': 'the node does not have it, and its pull policy is Never',
    'rate-limited': `${registry} limits how many images this address may pull (429)`,
    'name-not-resolved': `the name ${registry} cannot be resolved`,
    'no-connection': `no connection to ${registry}`,
    'connection-broken': `the connection to ${registry} broke`,
    timeout: `${registry} did not respond in time`,
    'not-found': `${registry} does not have it${withStatus}`,
    denied: `${registry} denies access to it${withStatus}`,
    'server-error': `${registry} returned a server error${withStatus}`,
    other: `the pull from ${registry} failed`
  }[classifyPullFailure(excerpt)];
}

const formatLoginCommand = (registry: string): string =>
  `\`docker login${registry === 'docker.io' ? '' : ` ${registry}`}\``;

/** The hint for a failed pull. */
export function suggestPullFix(message: string, image: string): string {
  const {registry} = parseImage(image);
  const reach = `Check that this runner's Docker containers reach ${registry}: its DNS, proxy and firewall.`;
  const mirror = 'To take Istio’s images from a mirror, set `istio-hub`.';
  const local = 'An image that the local Docker has is not pulled.';
  return {
    'never-pulled': 'Build or pull the image before this step, or change its `imagePullPolicy`.',
    'rate-limited': `Run ${formatLoginCommand(registry)} before this step: that raises the limit. ${mirror} ${local}`,
    'name-not-resolved': `${reach} ${mirror}`,
    'no-connection': `${reach} ${mirror}`,
    'connection-broken': `${reach} ${mirror}`,
    timeout: `${reach} ${mirror}`,
    'not-found': `Check the name and the tag. ${local}`,
    denied: `The image does not exist, or it needs ${formatLoginCommand(registry)} before this step. ${local}`,
    'server-error': `Run the job again later. ${mirror}`,
    other: `${reach} ${mirror} ${local}`
  }[classifyPullFailure(message)];
}
