import {describe, expect, test} from '@jest/globals';
import {uninstall} from '../src/checks/uninstall.ts';
import {type Answer, fakeSh, fakeWork} from './fake.ts';
import {failures, look} from './things.ts';

const own = {kind: 'ServiceAccount', metadata: {name: 'default'}};
const istiod = {kind: 'Deployment', metadata: {name: 'istiod'}};
/** An API server that has these left, one list after the other. */
function api(left: object[][], deleted: Answer = '') {
  let turn = 0;
  return fakeSh(([, verb]) =>
    verb === 'delete' ? deleted : JSON.stringify({items: left[Math.min(turn++, left.length - 1)]})
  );
}
/** A clock on which each reading takes 20 s. */
const hasty = () => {
  let now = 0;
  return fakeWork(() => (now += 20));
};

describe('uninstall', () => {
  test('empties the namespace, but for what is Kubernetes’ own', async () => {
    const sh = api([[own]]);
    expect(failures(await look(uninstall, {sh}))).toEqual({});
    expect(sh.calls[0]).toMatch(/^kubectl delete istios\.sailoperator\.io default /);
  });

  test('waits for what is on its way out', async () => {
    const work = fakeWork();
    expect(failures(await look(uninstall, {sh: api([[own, istiod], [own]]), work}))).toEqual({});
    expect(work.waits).toEqual(['deletion of objects: 1 left', null]);
  });

  test('something is left behind', async () => {
    const found = await look(uninstall, {sh: api([[own, istiod]]), work: hasty()});
    expect(failures(found)).toEqual({'uninstall/istio/namespace': 'Deployment istiod'});
  }, 20_000);

  test('the resource cannot be deleted', async () => {
    const sh = api([[own, istiod]], {code: 1, stderr: 'timed out waiting for the condition\n'});
    expect(failures(await look(uninstall, {sh}))).toEqual({
      'uninstall/istio/namespace': 'timed out waiting for the condition'
    });
  });
});
