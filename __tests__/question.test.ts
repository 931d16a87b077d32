import {describe, expect, test} from '@jest/globals';
import {question} from '../rehearsal/question.mjs';

const asks = (line: string) => question(line.split(' ')).exact;

describe('what a command asks', () => {
  test.each([
    ['kubectl get pods -n x -o json', 'kubectl get --namespace=x --output json pods'],
    ['kubectl get pods -A -ojson', 'kubectl get pods --all-namespaces -o=json'],
    ['kubectl get pods,nodes -o json', 'kubectl get nodes,pods -o json'],
    [
      'kubectl logs -n x -l app=a --tail=1000',
      'kubectl logs --selector app=a --tail 20 --namespace x'
    ],
    [
      'kubectl wait pods -l a=b --for=condition=Ready --timeout=4s',
      'kubectl wait --for condition=Ready --timeout=9s pods -l a=b'
    ],
    [
      'kubectl exec -n x deployment/a -c b -- ip -6 route',
      'kubectl exec --container b --namespace x deployment/a -- ip -6 route'
    ],
    ['kubectl exec a -- sh -c old probe 1 2', 'kubectl exec a -- sh -c new probe 1 2'],
    ['kubectl apply --server-side -f a.yaml', 'kubectl apply --filename=a.yaml --server-side'],
    [
      'helm install a b.tgz --namespace x --skip-crds',
      'helm install --skip-crds -n x a b.tgz --timeout 60s'
    ],
    ['kind create cluster --name a --wait 0s', 'kind create cluster --name=a'],
    ['docker exec --interactive a ctr images', 'docker exec -i a ctr images'],
    ['docker save --output a.tar b c', 'docker save c b -o a.tar']
  ])('the same: %s, and %s', (one, other) => expect(asks(one)).toBe(asks(other)));

  test.each([
    ['kubectl get pods -n x -o json', 'kubectl get pods -n y -o json'],
    ['kubectl get pods -o json', 'kubectl get pods -o yaml'],
    ['kubectl get a b', 'kubectl get b a'],
    ['kubectl delete -f a.yaml', 'kubectl delete -f a.yaml --ignore-not-found'],
    ['kubectl wait pods --for=delete', 'kubectl wait pods --for=condition=Ready'],
    ['kubectl exec a -- ip -4 route', 'kubectl exec a -- ip route -4'],
    ['kubectl exec a -- sh -c one', 'kubectl exec a -- sh -c two'],
    ['kubectl exec a -- sh -c one probe 1', 'kubectl exec a -- sh -c one probe 2'],
    ['kubectl exec a -- sh -c one probe 1', 'kubectl exec a -- sh -c one dns 1'],
    ['helm install a b.tgz --set x=1 --set x=2', 'helm install a b.tgz --set x=2 --set x=1'],
    ['docker exec a iptables -I FORWARD -d b', 'docker exec a iptables -d b -I FORWARD'],
    ['docker image inspect --format {{.Id}} a', 'docker image inspect a'],
    ['tar -x -f a', 'tar -f a -x']
  ])('not the same: %s, and %s', (one, other) => expect(asks(one)).not.toBe(asks(other)));
});
