import { statSync, writeFileSync } from 'node:fs';
import { newId } from '@computefabric/protocol/ids';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { type MeteringRecord, recordText, type TryTerms } from '@computefabric/protocol/receipts/metering';
import { signRecord } from '@computefabric/runtime/receipts/metering-chain';
import { isSignedBy, newPrivateKey, signerOf } from '@computefabric/runtime/receipts/signatures';
import { afterEach, expect, test, vi } from 'vitest';
import { agentHome } from './home/agent-home.ts';
import { obtainSigningKey } from './home/signing-key.ts';
import { doubtOf } from './tasks/witness-metering.ts';
import { AgentBench, testImage } from './testing/agent-bench.ts';
import type { FakeLease } from './testing/fake-orchestrator.ts';
import { testSpec } from './testing/test-spec.ts';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const market = signerOf(newPrivateKey());
let bench: AgentBench;
afterEach(async () => {
  await bench.close();
  expect(bench.market.violations).toEqual([]);
});

function termsOf(spec: TaskSpec): TryTerms {
  return {
    leaseId: spec.lease_id,
    jobId: spec.job_id,
    fence: spec.fence,
    attempt: spec.attempt,
    pricePerHourMicros: spec.price_per_hour_micros,
    gpuUuids: spec.gpu_uuids,
  };
}

function record(
  { spec }: Pick<FakeLease, 'spec'>,
  before: MeteringRecord | null,
  totalMs: number,
): Promise<MeteringRecord> {
  const [from, to] = ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:01.000Z'];
  return signRecord(market, termsOf(spec), before, { from, to, totalMs, final: false });
}

async function runningJob(): Promise<FakeLease> {
  bench.program('wait', async (process) => {
    await process.sleep(600_000);
    return 0;
  });
  const lease = bench.market.offer(testSpec({ image: testImage, command: 'wait' }));
  await bench.market.until('the program runs', () => lease.started !== null);
  return lease;
}

test('a machine tells its public key and signs what the market writes down of a try, while it runs and at its end', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const key = (await obtainSigningKey(bench.home)).publicKey;
  const lease = await runningJob();
  expect(bench.market.hellos[0]?.signing_key).toBe(key);
  const first = await record(lease, null, 100);
  lease.dueRecord = first;
  await bench.market.until('the first signature', () => lease.countersigned.length === 1);
  const last = await record(lease, first, 200);
  lease.lastRecord = last;
  bench.market.cancel(lease);
  await bench.market.until('the lease is released', () => lease.state === 'released');
  expect(lease.countersigned.map(({ seq }) => seq)).toEqual([1, 2]);
  for (const [index, signed] of [first, last].entries()) {
    const text = recordText(termsOf(lease.spec), signed);
    expect(isSignedBy(key, text, lease.countersigned[index]?.signature ?? '')).toBe(true);
  }
});

test('it does not sign time in which the program cannot have run, and the job knows nothing of it', async () => {
  bench = await AgentBench.open();
  await bench.startAgent();
  const lease = await runningJob();
  lease.dueRecord = await record(lease, null, 3_600_000);
  await bench.market.until('the record was told', () => lease.dueRecord === null);
  lease.lastRecord = await record(lease, null, 7_200_000);
  bench.market.cancel(lease);
  await bench.market.until('the lease is released', () => lease.state === 'released');
  expect(lease.countersigned).toEqual([]);
});

test('what is signed must follow the terms and what was signed before', async () => {
  bench = await AgentBench.open();
  const spec = testSpec({ price_per_hour_micros: '360000' });
  const terms = termsOf(spec);
  const first = await record({ spec }, null, 1_000);
  const second = await record({ spec }, first, 2_000);
  const doubt = (one: MeteringRecord, before: MeteringRecord | null) =>
    doubtOf(one, { terms, before, ranMs: 2_000 });
  expect(doubt(first, null)).toBeNull();
  expect(doubt(second, first)).toBeNull();
  // This process began after the first one.
  expect(doubt(second, null)).toBeNull();
  expect(doubt(await record({ spec: { ...spec, price_per_hour_micros: '1' } }, null, 1_000), null)).toMatch(
    /terms/,
  );
  expect(doubt({ ...second, prev: '0'.repeat(64) }, first)).toMatch(/follow/);
  expect(doubt({ ...second, total_ms: 500 }, first)).toMatch(/less/);
  expect(doubt({ ...second, total_ms: 9_000 }, first)).toMatch(/9000 ms of 2000 ms/);
});

test('the key is made once, for its owner alone, and a damaged file is named', async () => {
  bench = await AgentBench.open();
  const home = agentHome(bench.home.root);
  expect((await obtainSigningKey(home)).keyId).toBe((await obtainSigningKey(home)).keyId);
  expect(statSync(home.signingKey).mode & 0o777).toBe(0o600);
  const odd = { ...home, signingKey: `${home.signingKey}.${newId('job')}` };
  writeFileSync(odd.signingKey, 'no key');
  await expect(obtainSigningKey(odd)).rejects.toThrow(/is damaged/);
});
