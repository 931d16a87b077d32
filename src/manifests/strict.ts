/** Renders the PeerAuthentication of the mutual TLS checks. */
import {stringify} from 'yaml';

/** STRICT for port 9001 of the dual-stack pods only: in the root namespace, it would block every plaintext client. */
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
