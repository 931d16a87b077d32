// Faults, caused in a real run while it is recorded, and what must be told of each.
// `before`: the bundle's command just before which the fault is caused; without it, before the run.
// `cause`: shell, with docker, kubectl and jq; NODE is the cluster's node, KUBECONFIG its kubeconfig.
// Without `before`: KIND_FLAGS name the lab's node image, and are empty elsewhere.

/** Everything is in place, and the checks of the mesh are about to start. */
const look = /^kubectl get nodes,deployments/;
const operator = /^helm install/;

const podIp = family =>
  `$(kubectl get pods -n dual-stack -l app=tcp-echo -o jsonpath='{.items[0].status.podIPs[*].ip}' | tr ' ' '\\n' | grep ${family === 6 ? '' : '-v '}:)`;
const cutPod = family =>
  `docker exec $NODE ${family === 6 ? 'ip6tables' : 'iptables'} -I FORWARD -d ${podIp(family)} -j DROP`;
const stopController = `docker exec $NODE mv /etc/kubernetes/manifests/kube-controller-manager.yaml /root/
until ! docker exec $NODE pgrep -x kube-controller >/dev/null; do sleep 0.2; done`;
const dropSlice = family => `${stopController}
kubectl get endpointslices -n dual-stack -o json | jq -r '.items[] | select(.metadata.labels["kubernetes.io/service-name"] == "tcp-echo" and .addressType == "IPv${family}") | .metadata.name' | xargs -r kubectl delete endpointslice -n dual-stack`;
const patchEcho =
  patch => `kubectl patch deployment tcp-echo -n dual-stack --type=json -p '${patch}'
kubectl rollout status deployment/tcp-echo -n dual-stack --timeout=60s
until [ "$(kubectl get pods -n dual-stack -l app=tcp-echo -o name | wc -l)" = 1 ]; do sleep 0.3; done`;

const json = value => `'${JSON.stringify(value)}'`;
/** Changes a thing of a sample; istiod tells the proxies within the seconds. */
const patch = (what, namespace, change) =>
  `kubectl patch ${what} -n ${namespace} --type=merge -p ${json(change)}\nsleep 5`;
/** The Service as if nobody had asked for both families; the API server takes the second away. */
const singleStack = {spec: {ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4']}};
/** A setting of the proxies of a Deployment that is made later: changed as soon as it is there. */
const proxyMetadata = (name, namespace, value) =>
  `( until kubectl get deployment ${name} -n ${namespace}; do sleep 0.1; done
${patch(`deployment ${name}`, namespace, {
  spec: {
    template: {
      metadata: {
        annotations: {'proxy.istio.io/config': JSON.stringify({proxyMetadata: value})}
      }
    }
  }
})} ) >/dev/null 2>&1 &`;
/** A command in the network namespace of a pod. */
const inPod = (name, namespace, command) =>
  `ip=$(kubectl get pods -n ${namespace} -l app=${name} -o jsonpath='{.items[0].status.podIP}')
for ns in $(docker exec $NODE ip netns list | cut -d' ' -f1); do
  if docker exec $NODE ip netns exec $ns ip address | grep -q " $ip/"; then
    docker exec $NODE ip netns exec $ns ${command}
  fi
done`;
const envoyFilter = (namespace, spec) =>
  `printf '%s' ${json({
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: {name: 'fault', namespace},
    spec
  })} | kubectl apply -f -\nsleep 5`;
const only = layer => ['--checks', `^${layer}/`];

/** A release of Istio that has a bug, by an operator that offers it. */
const old = (operator, istio) => [
  ...[
    '--operator-chart',
    `https://github.com/istio-ecosystem/sail-operator/releases/download/${operator}/sail-operator-${operator}.tgz`
  ],
  ...['--istio-version', istio]
];

export const faults = {
  'ipv6-dropped-on-node': {
    title: 'IPv6 dropped for the echo port on the node',
    before: look,
    cause: 'docker exec $NODE ip6tables -I FORWARD -p tcp --dport 9000 -j DROP',
    expect: {class: 'infrastructure', layer: 'cluster'}
  },
  'ipv6-dropped-to-pod': {
    title: 'IPv6 dropped to the dual-stack pod only',
    before: look,
    cause: cutPod(6),
    expect: {class: 'connectivity', layer: 'path'}
  },
  'ipv4-dropped-to-pod': {
    title: 'IPv4 dropped to the dual-stack pod only',
    before: look,
    cause: cutPod(4),
    expect: {class: 'connectivity', layer: 'path'}
  },
  'both-dropped-to-pod': {
    title: 'IPv4 and IPv6 dropped to the dual-stack pod',
    before: look,
    cause: `${cutPod(4)}\n${cutPod(6)}`,
    expect: {class: 'connectivity', layer: 'echo'}
  },
  'ipv6-dropped-in-sidecar': {
    title: "IPv6 dropped to a sidecar's inbound port only",
    before: look,
    cause: `ip=${podIp(6)}
for ns in $(docker exec $NODE ip netns list | cut -d' ' -f1); do
  if docker exec $NODE ip netns exec $ns ip -6 address | grep -q " $ip/"; then
    docker exec $NODE ip netns exec $ns ip6tables -I INPUT -p tcp --dport 15006 -j DROP
  fi
done`,
    expect: {class: 'connectivity', layer: 'path'}
  },
  'dual-stack-off': {
    title: '`ISTIO_DUAL_STACK` missing in pilot and proxies',
    values: {
      meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_DUAL_STACK: 'false'}}},
      pilot: {env: {ISTIO_DUAL_STACK: 'false'}}
    },
    expect: {class: 'istio', layer: 'control-plane'}
  },
  'dual-stack-off-in-echo': {
    title: '`ISTIO_DUAL_STACK` missing in the echo pod alone',
    before: look,
    cause: patchEcho(
      '[{"op": "add", "path": "/spec/template/metadata/annotations", "value": {"proxy.istio.io/config": "proxyMetadata: {ISTIO_DUAL_STACK: \\"false\\"}"}}]'
    ),
    expect: {class: 'istio', layer: 'proxy'}
  },
  'stale-endpoint': {
    title: 'A stale endpoint',
    before: look,
    cause: `${stopController}
slice=$(kubectl get endpointslices -n dual-stack -o json | jq -r '.items[] | select(.metadata.labels["kubernetes.io/service-name"] == "tcp-echo" and .addressType == "IPv4") | .metadata.name')
kubectl patch endpointslice $slice -n dual-stack --type=json -p '[{"op": "add", "path": "/endpoints/-", "value": {"addresses": ["10.244.0.250"], "conditions": {"ready": true}}}]'`,
    expect: {class: 'infrastructure', layer: 'endpoints'}
  },
  'echo-answers-wrongly': {
    title: 'The echo answers wrongly',
    before: look,
    cause: patchEcho(
      '[{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["9000,9001,9002", "goodbye"]}]'
    ),
    expect: {class: 'connectivity', layer: 'echo'}
  },
  'operator-image-missing': {
    title: 'The operator image cannot be pulled',
    flags: ['--operator-image', 'quay.io/sail-dev/sail-operator:nosuch'],
    expect: {class: 'infrastructure', layer: 'operator'}
  },
  'operator-image-swapped': {
    title: "Another image given the tag of the operator's in the node",
    before: /^kubectl uncordon/,
    cause: `image=$(docker exec $NODE crictl images --output json | jq -r '.images[].repoTags[]' | grep sail-operator:)
printf 'FROM %s\\nLABEL swapped=true\\n' $image | docker build --quiet --tag localhost/swapped:operator -
docker save localhost/swapped:operator | docker exec -i $NODE ctr --namespace=k8s.io images import --snapshotter=overlayfs -
docker exec $NODE ctr --namespace=k8s.io images tag --force localhost/swapped:operator $image`,
    undo: 'docker rmi localhost/swapped:operator',
    expect: {class: 'operator', layer: 'operator'}
  },
  'istiod-image-missing': {
    title: 'The istiod image cannot be pulled',
    values: {pilot: {image: 'docker.io/istio/pilot:nosuch'}},
    expect: {class: 'infrastructure', layer: 'control-plane'}
  },
  'sidecar-image-missing': {
    title: 'The sidecar image cannot be pulled',
    values: {global: {proxy: {image: 'docker.io/istio/proxyv2:nosuch'}}},
    expect: {class: 'infrastructure', layer: 'workload'}
  },
  'no-injection-label': {
    title: 'No injection label',
    flags: ['--injection-label', 'istio.io/rev=nosuch'],
    expect: {class: 'istio', layer: 'workload'}
  },
  'service-single-stack': {
    title: 'The Service made SingleStack',
    before: look,
    cause: `kubectl patch service tcp-echo -n dual-stack --type=merge -p '{"spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"], "clusterIPs": ['"$(kubectl get service tcp-echo -n dual-stack -o jsonpath='{.spec.clusterIPs[0]}' | jq -R .)"']}}'`,
    expect: {class: 'connectivity', layer: 'service'}
  },
  'ipv4-slice-missing': {
    title: 'The IPv4 EndpointSlice missing',
    before: look,
    cause: dropSlice(4),
    expect: {class: 'infrastructure', layer: 'endpoints'}
  },
  'ipv6-slice-missing': {
    title: 'The IPv6 EndpointSlice missing',
    before: look,
    cause: dropSlice(6),
    expect: {class: 'infrastructure', layer: 'endpoints'}
  },
  'dns-down': {
    title: 'DNS down',
    before: look,
    cause: `kubectl scale deployment coredns -n kube-system --replicas=0
kubectl wait pods -n kube-system -l k8s-app=kube-dns --for=delete --timeout=60s`,
    expect: {class: 'infrastructure', layer: 'dns'}
  },
  'istiod-down': {
    title: 'istiod down after it was ready',
    before: look,
    cause: `kubectl scale deployment sail-operator -n sail-operator --replicas=0
kubectl scale deployment istiod -n istio-system --replicas=0
kubectl wait pods -n istio-system -l app=istiod --for=delete --timeout=60s`,
    expect: {class: 'istio', layer: 'control-plane'}
  },
  'kind-network-ipv4-only': {
    title: 'The `kind` network has only IPv4',
    cause: 'docker network rm kind || true\ndocker network create kind',
    undo: 'docker network rm kind',
    expect: {class: 'infrastructure', layer: 'network'}
  },
  'ip6tables-flushed': {
    title: 'The ip6tables of a pod flushed',
    before: look,
    flags: only('proxy'),
    cause: inPod('tcp-echo', 'dual-stack', 'ip6tables -t nat -F'),
    expect: {class: 'istio', layer: 'proxy'}
  },
  'listener-address-taken': {
    title: 'A listener on an address that is taken, by an EnvoyFilter',
    before: look,
    flags: only('xds'),
    cause: envoyFilter('sleep', {
      configPatches: [
        {
          applyTo: 'LISTENER',
          patch: {
            operation: 'ADD',
            value: {
              name: 'taken',
              address: {socket_address: {address: '::', port_value: 15006}},
              filter_chains: [{filters: []}]
            }
          }
        }
      ]
    }),
    expect: {class: 'istio', layer: 'xds'}
  },
  'filter-unknown': {
    title: 'A filter that Envoy does not have, by an EnvoyFilter',
    before: look,
    flags: only('xds'),
    cause: envoyFilter('sleep', {
      configPatches: [
        {
          applyTo: 'NETWORK_FILTER',
          match: {listener: {filterChain: {filter: {name: 'envoy.filters.network.tcp_proxy'}}}},
          patch: {
            operation: 'INSERT_BEFORE',
            value: {
              name: 'unknown',
              typed_config: {
                '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct',
                type_url: 'type.googleapis.com/no.such.Filter'
              }
            }
          }
        }
      ]
    }),
    expect: {class: 'istio', layer: 'xds'}
  },
  'metrics-port-rejected': {
    title: 'Port 15090 of a pod rejected over IPv6',
    before: look,
    flags: only('health'),
    cause: inPod(
      'tcp-echo',
      'dual-stack',
      'ip6tables -I INPUT -p tcp --dport 15090 -j REJECT --reject-with tcp-reset'
    ),
    expect: {class: 'istio', layer: 'health'}
  },
  'http-port-named-tcp': {
    title: 'The port of the web server named `tcp-web`',
    before: look,
    flags: only('http'),
    cause: patch('service web', 'http', {spec: {ports: [{name: 'tcp-web', port: 8080}]}}),
    expect: {class: 'istio', layer: 'http'}
  },
  'policy-missing': {
    title: 'The AuthorizationPolicy of the web server deleted',
    before: look,
    flags: only('http'),
    cause: 'kubectl delete authorizationpolicy --all -n http\nsleep 5',
    expect: {class: 'istio', layer: 'http'}
  },
  'headless-single-stack': {
    title: 'A headless Service made SingleStack',
    before: look,
    flags: only('headless'),
    cause: patch('service echo', 'headless', singleStack),
    expect: {class: 'istio', layer: 'headless'}
  },
  'host-network-single-stack': {
    title: "The headless Service of a pod in its node's network made SingleStack",
    before: look,
    flags: only('headless'),
    cause: patch('service echo-host', 'host-network', singleStack),
    expect: {class: 'istio', layer: 'headless'}
  },
  'second-host-missing': {
    title: 'A ServiceEntry without its second TLS host',
    before: look,
    flags: only('egress'),
    cause: patch('serviceentry tls', 'egress', {spec: {hosts: ['one.example.test']}}),
    expect: {class: 'istio', layer: 'egress'}
  },
  'second-address-missing': {
    title: 'A ServiceEntry without its IPv6 address',
    before: look,
    flags: only('egress'),
    cause: patch('serviceentry static', 'plain', {spec: {addresses: ['192.0.2.10']}}),
    expect: {class: 'istio', layer: 'egress'}
  },
  'gateway-single-stack': {
    title: 'The Service of the ingress gateway made SingleStack',
    before: look,
    flags: only('gateway'),
    cause: patch('service gateway', 'gateway', singleStack),
    expect: {class: 'istio', layer: 'gateway'}
  },
  'dual-stack-off-in-gateway': {
    title: '`ISTIO_DUAL_STACK` missing in the ingress gateway alone',
    before: look,
    flags: only('gateway'),
    cause: proxyMetadata('gateway', 'gateway', {ISTIO_DUAL_STACK: 'false'}),
    expect: {class: 'istio', layer: 'gateway'}
  },
  'dns-capture-off': {
    title: 'DNS capture missing in the sidecar',
    before: look,
    flags: only('dns-proxy'),
    cause: proxyMetadata('dns-proxy', 'dns-proxy', {ISTIO_META_DNS_CAPTURE: 'false'}),
    expect: {class: 'istio', layer: 'dns-proxy'}
  },
  'ipv6-dropped-in-upgrade': {
    title: 'IPv6 dropped to the server for 5 s while istiod is replaced',
    before: /^kubectl apply .*upgrade\.yaml$/,
    flags: ['--istio-version', '1.30.3', '--upgrade-from', '1.29.6', ...only('upgrade')],
    cause: `ip=${podIp(6)}
docker exec $NODE ip6tables -I FORWARD -d $ip -j DROP
sleep 5
docker exec $NODE ip6tables -D FORWARD -d $ip -j DROP`,
    expect: {class: 'connectivity', layer: 'upgrade'}
  },
  'istio-51279': {
    title: 'istio/istio#51279, in Istio 1.23.5',
    flags: [...old('1.25.1', '1.23.5'), ...only('proxy')],
    expect: {class: 'istio', layer: 'proxy'}
  },
  'istio-53245': {
    title: 'istio/istio#53245, in Istio 1.23.5',
    flags: [...old('1.25.1', '1.23.5'), ...only('gateway')],
    expect: {class: 'istio', layer: 'gateway'}
  },
  'istio-55577': {
    title: 'istio/istio#55577, in Istio 1.25.1',
    flags: old('1.25.1', '1.25.1'),
    expect: {class: 'istio', layer: 'proxy'}
  },
  'istio-58397': {
    title: 'istio/istio#58397, in Istio 1.25.1',
    flags: [...old('1.25.1', '1.25.1'), ...only('dns-proxy')],
    expect: {class: 'istio', layer: 'dns-proxy'}
  },
  'istio-51939': {
    title: 'istio/istio#51939, in Istio 1.30.3: a ServiceEntry that names two addresses itself',
    before: look,
    cause: `kubectl patch serviceentry entry -n ambient-waypoint --type=merge -p '{"spec": {"addresses": ["192.0.2.90", "2001:db8::90"]}}'`,
    flags: ['--dataplane-mode', 'ambient', '--checks', '^ambient/waypoint'],
    expect: {class: 'istio', layer: 'ambient'}
  },
  'docker-down': {
    title: 'Docker down',
    docker: 'unix:///nonexistent/docker.sock',
    expect: {class: 'infrastructure', layer: 'runner'}
  },
  'node-killed': {
    title: 'The node container killed',
    before: look,
    cause: 'docker kill $NODE',
    expect: {class: 'infrastructure', layer: 'node'}
  },
  'node-killed-early': {
    title: 'The node container killed while the operator is installed',
    before: operator,
    cause: 'docker kill $NODE',
    expect: {class: 'infrastructure', layer: 'node'}
  },
  'cluster-single-stack': {
    title: 'A cluster that is not dual-stack',
    flags: [
      '--kind-config',
      JSON.stringify({
        kubeadmConfigPatches: [
          'kind: ClusterConfiguration\nnetworking:\n  podSubnet: 10.244.0.0/16\n  serviceSubnet: 10.96.0.0/16\n'
        ]
      })
    ],
    expect: {class: 'infrastructure', layer: 'node'}
  },
  'unknown-istio': {
    title: 'An Istio version that the operator does not offer',
    flags: ['--istio-version', '9.9.9'],
    expect: {class: 'input', layer: ''}
  },
  'taken-name': {
    title: 'The cluster name is taken',
    flags: ['--cluster-name', 'taken'],
    cause:
      "printf 'kind: Cluster\\napiVersion: kind.x-k8s.io/v1alpha4\\n' | kind create cluster -q --name taken $KIND_FLAGS --kubeconfig /dev/null --config - || true",
    undo: 'kind delete cluster -q --name taken --kubeconfig /dev/null',
    expect: {class: 'input', layer: ''}
  }
};
