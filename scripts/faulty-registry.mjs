// A registry in front of the lab's registry that fails in realistic ways. The host name of an image selects how, and how long.
import * as http from 'node:http';

/** What registries say: distribution's own words, and those of Docker Hub, quay.io and ghcr.io. */
const errors = {
  notfound: [404, {errors: [{code: 'MANIFEST_UNKNOWN', message: 'manifest unknown'}]}],
  noname: [
    404,
    {errors: [{code: 'NAME_UNKNOWN', message: 'repository name not known to registry'}]}
  ],
  denied: [
    403,
    {errors: [{code: 'DENIED', message: 'requested access to the resource is denied'}]}
  ],
  unauthorized: [
    401,
    {
      errors: [
        {code: 'UNAUTHORIZED', message: 'access to the requested resource is not authorized'}
      ]
    }
  ],
  ratelimit: [
    429,
    {
      errors: [
        {
          code: 'TOOMANYREQUESTS',
          message:
            'You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit'
        }
      ]
    }
  ],
  busy: [429, ''],
  error: [500, ''],
  unavailable: [503, '']
};

const answer = (response, status, body, headers = {}) => {
  response.writeHead(status, {'Content-Type': 'application/json', ...headers});
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};

/** The user and the password that `private` asks for. */
export const login = {user: 'lab', password: 'correct horse battery'};
const basic = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;

/** Faults that are more than an answer; true: the request is dealt with. */
const ways = {
  eof: ({socket}) => socket.end(),
  reset: ({socket}) => socket.resetAndDestroy(),
  hang: () => true,
  // a token endpoint that has a bad moment, as Docker Hub's has: containerd says "failed to fetch anonymous token: 401"
  token: (_, response, {here, url}) =>
    url.pathname === '/token'
      ? answer(response, 401, {details: 'incorrect username or password'})
      : answer(response, 401, '', {
          'WWW-Authenticate': `Bearer realm="${here}/token",service="lab",scope="repository:x:pull"`
        })
};

/** One that needs a login, by the token of its own endpoint as all big ones do it. */
function isPrivate(request, response, {here, url}) {
  if (url.pathname === '/token')
    return request.headers.authorization === basic
      ? answer(response, 200, {token: 'lab-token'})
      : answer(response, 401, errors.unauthorized[1]);
  if (request.headers.authorization === 'Bearer lab-token') return false;
  return answer(response, 401, errors.unauthorized[1], {
    'WWW-Authenticate': `Bearer realm="${here}/token",service="lab",scope="repository:x:pull"`
  });
}

/**
 * Starts it. Images of `FAULT-SECONDS.lab.test/NAME` fail by that fault for so many seconds since they were first asked
 * for (`always`: each time), and else are the image NAME of the lab's registry `upstream`; `private.lab.test` needs a
 * login, `slow-RATE.lab.test` gives RATE kilobytes a second. `log` is told of each request.
 */
export async function faultyRegistry(upstream, address, log = () => {}) {
  const since = new Map();
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://registry');
    const host = url.searchParams.get('ns') ?? '';
    const [fault = '', time = 'always'] = host.replace(/\.lab\.test$/, '').split('-');
    if (!since.has(host)) since.set(host, Date.now());
    const over = time !== 'always' && Date.now() - since.get(host) > Number(time) * 1000;
    const here = `http://${address}:${server.address().port}`;
    log(`${host} ${request.method} ${url.pathname}${over ? '' : ` ${fault}`}`);
    if (fault === 'private' || url.pathname === '/token') {
      const way = fault === 'private' || request.headers.authorization ? isPrivate : ways.token;
      if (way(request, response, {here, url}) !== false) return;
    } else if (fault !== 'slow' && fault !== 'good' && !over) {
      if (errors[fault]) return answer(response, ...errors[fault]);
      ways[fault](request, response, {here, url});
      return;
    }
    pass(upstream, url.pathname, request, response, fault === 'slow' ? Number(time) * 1000 : 0);
  });
  await new Promise(resolve => server.listen(0, '0.0.0.0', resolve));
  return {
    url: `http://${address}:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    }
  };
}

function pass(upstream, path, {method, headers}, response, bytesPerSecond) {
  const {authorization, host, ...rest} = headers;
  const asked = http.request(`${upstream}${path}`, {method, headers: rest}, answered => {
    response.writeHead(answered.statusCode, answered.headers);
    if (bytesPerSecond > 0 && path.includes('/blobs/'))
      void slowly(answered, response, bytesPerSecond);
    else answered.pipe(response);
  });
  asked.on('error', () => response.destroy());
  asked.end();
}

async function slowly(from, to, bytesPerSecond) {
  for await (const chunk of from) {
    to.write(chunk);
    await new Promise(resolve => setTimeout(resolve, (chunk.length / bytesPerSecond) * 1000));
  }
  to.end();
}
