import {stringify} from 'yaml';

/** Scoped to the dual-stack pods and to port 9001: STRICT in the root namespace would cut every plaintext client. */
export const renderStrictYaml = (): string =>
  stringify({
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: {name: 'dual-stack-check', namespace: 'dual-stack'},
    spec: {
      selector: {matchLabels: {app: 'tcp-echo'}},
      portLevelMtls: {'9001': {mode: 'STRICT'}}
    }
  });
