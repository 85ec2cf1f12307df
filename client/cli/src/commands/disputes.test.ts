import { sampleEndedJob } from '@computefabric/api-client/testing/sample-data';
import { newId } from '@computefabric/protocol/ids';
import {
  decideDispute,
  type DisputeView,
  listDisputes,
  openDispute,
} from '@computefabric/protocol/user-api/disputes';
import { getJob } from '@computefabric/protocol/user-api/jobs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { onlyJson, Workbench } from '../testing/run-cfab.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

function sample(change: Partial<DisputeView> = {}): DisputeView {
  return {
    id: newId('dispute'),
    job_id: newId('job'),
    job_name: 'train-7',
    state: 'open',
    reason: 'wrong-result',
    message: 'NaN',
    refund_micros: '0',
    machines: [],
    created_at: '2026-01-02T03:04:05.000Z',
    decided_at: null,
    decisions: [],
    evidence: null,
    ...change,
  };
}

const decision = {
  outcome: 'granted',
  blame: 'provider',
  rule: null,
  explanation: 'The card was broken.',
  refund_micros: '9000',
  at: '2026-01-02T03:04:05.000Z',
} as const;

test('dispute sends reason and message, and says who decides', async () => {
  bench.market
    .on(getJob, () => sampleEndedJob(0, { name: 'train-7' }))
    .on(openDispute, ({ body }) => sample({ reason: body.reason, message: body.message }));
  const args = ['dispute', 'train-7', '--reason', 'too-slow', '--message', 'an hour for a minute'];
  const { code, stderr } = await bench.run(args);
  expect([code, stderr.includes('The operator decides')]).toEqual([0, true]);
  const asked = onlyJson((await bench.run([...args, '--json'])).stdout);
  expect(asked).toMatchObject({ reason: 'too-slow', message: 'an hour for a minute' });
  const wrong = await bench.run(['dispute', 'train-7', '--reason', 'cold', '--message', 'x']);
  expect([wrong.code, wrong.stderr.includes('wrong-result, damaged-result')]).toEqual([2, true]);
});

test('disputes list shows what was decided and why, and decide needs one of the two and a reason', async () => {
  const granted = sample({ state: 'granted', decisions: [decision], refund_micros: '9000' });
  bench.market
    .on(listDisputes, ({ query }) => ({ items: query.as === 'owner' ? [granted] : [], next_cursor: null }))
    .on(decideDispute, () => granted);
  const { stdout } = await bench.run(['disputes', 'list', '--as', 'owner']);
  expect(stdout).toMatch(/train-7\s+granted\s+wrong-result\s+\$0\.009\s+The card was broken\./);
  const decide = ['disputes', 'decide', granted.id];
  expect((await bench.run([...decide, '--grant', '--deny', '--because', 'x'])).code).toBe(2);
  expect((await bench.run([...decide, '--deny', '--refund', '1', '--because', 'x'])).code).toBe(2);
  expect((await bench.run([...decide, '--grant'])).code).toBe(2);
  const done = await bench.run([
    ...decide,
    '--grant',
    '--refund',
    '0.009',
    '--because',
    'The card was broken.',
  ]);
  expect([done.code, done.stdout.includes('$0.009')]).toEqual([0, true]);
});
