import { createHash } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import { payments } from '@computefabric/db/schema/payments';
import { providers } from '@computefabric/db/schema/providers';
import type { JobId } from '@computefabric/protocol/ids';
import { decideDispute, listDisputes, openDispute } from '@computefabric/protocol/user-api/disputes';
import { createJob } from '@computefabric/protocol/user-api/jobs';
import { getReceipt, listMarketKeys } from '@computefabric/protocol/user-api/receipts';
import { verifyReceipt } from '@computefabric/runtime/receipts/verify-receipt';
import { eq, sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { auditLedger } from '../ledger/audit.store.ts';
import { balanceMicros } from '../ledger/chart.ts';
import { errorOf, parsed } from '../testing/replies.ts';
import { recordPayout } from '../payouts/record-payout.ts';
import { releaseEarnings } from '../payouts/release-earnings.ts';
import { TestAgent, type TestTask } from '../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { payDebts } from './pay-debts.ts';

let market: TestMarket;
let renter: TestUser;
let owner: TestUser;
let operator: TestUser;
let machine: TestAgent;

beforeAll(async () => {
  market = await startTestMarket({ PLATFORM_FEE_BPS: '1000' });
  [renter, owner, operator] = [
    await market.addUser(),
    await market.addUser({ micros: 0n }),
    await market.addUser({ role: 'operator' }),
  ];
  machine = await TestAgent.join(market, owner, { cpus: 8, price_per_cpu_hour_micros: '3600000' });
});
afterAll(() => market.close());
afterEach(async () => expect(await auditLedger(market.db)).toEqual([]));

/** A job that ran for so long and came to a bill of 1,000 micros a second. */
async function ranJob(
  seconds: number,
  { exitCode = 0, work }: { exitCode?: number; work?: (task: TestTask) => Promise<unknown> } = {},
): Promise<JobId> {
  const json = { image: 'x', max_price_per_hour_micros: '10000000' };
  const { id } = parsed(
    createJob.reply,
    await market.call('/v1/jobs', { method: 'POST', token: renter.token, json }),
  );
  const task = await machine.acceptNext();
  await task.start();
  await work?.(task);
  await market.db
    .update(leases)
    .set({ startedAt: sql`${leases.startedAt} - make_interval(secs => ${seconds})` })
    .where(eq(leases.id, task.leaseId));
  await task.finish(exitCode);
  await waitUntil('the job is settled', async () => (await paymentOf(id))?.settledAt);
  return id;
}

async function paymentOf(id: JobId) {
  const [row] = await market.db.select().from(payments).where(eq(payments.jobId, id));
  return row;
}

const contest = (id: string, reason = 'wrong-result', user = renter) =>
  market.call(`/v1/jobs/${id}/dispute`, {
    method: 'POST',
    token: user.token,
    json: { reason, message: 'it printed nonsense' },
  });

const decide = (id: string, json: object) =>
  market.call(`/v1/admin/disputes/${id}/decision`, { method: 'POST', token: operator.token, json });

const transfersOf = (id: JobId) =>
  market.db.select().from(ledgerTransfers).where(eq(ledgerTransfers.jobId, id));

const available = (user = renter) => balanceMicros(market.db, 'renter_available', user.userId);
/** What the owner has earned and was not paid, kept by the hold window or not. */
const payable = async () =>
  (await balanceMicros(market.db, 'provider_held_back', owner.userId)) +
  (await balanceMicros(market.db, 'provider_payable', owner.userId));
const debt = async () => -(await balanceMicros(market.db, 'provider_debt', owner.userId));

const payouts = { holdSeconds: 0, firstJobs: 0, minimumMicros: 1n, returnUrl: '' };

/** The owner is paid out what is there. */
const payOut = async () => {
  const amountMicros = await payable();
  await market.db.transaction((tx) =>
    recordPayout(tx, payouts, {
      to: owner.userId,
      amountMicros,
      reference: 'cash',
      recordedBy: operator.userId,
    }),
  );
};

async function verified(id: JobId) {
  const receipt = parsed(
    getReceipt.reply,
    await market.call(`/v1/jobs/${id}/receipt`, { token: renter.token }),
  );
  const { keys } = parsed(listMarketKeys.reply, await market.call('/v1/keys'));
  const known = new Map(keys.map((each) => [each.key, each.public_key]));
  expect(verifyReceipt(receipt, known).problems).toEqual([]);
  return receipt.receipt;
}

test('what no rule decides waits for the operator, whose grant gives all back and takes from the owner what they earned', async () => {
  const before = await available();
  const id = await ranJob(100);
  const cost = (await paymentOf(id))?.amountMicros ?? 0n;
  expect(cost).toBeGreaterThanOrEqual(100_000n);
  const earned = await payable();
  const opened = parsed(openDispute.reply, await contest(id));
  expect(opened).toMatchObject({ state: 'open', refund_micros: '0', machines: [machine.providerId] });
  expect((await paymentOf(id))?.state).toBe('disputed');
  const decision = { outcome: 'granted', explanation: 'The output shows a broken card.' };
  const decided = parsed(decideDispute.reply, await decide(opened.id, decision));
  expect(decided).toMatchObject({ state: 'granted', refund_micros: String(cost) });
  expect((await paymentOf(id))?.state).toBe('refunded');
  expect(await available()).toBe(before);
  expect(await payable()).toBe(earned - (cost - cost / 10n));
  const receipt = await verified(id);
  expect(receipt).toMatchObject({
    refunded_micros: String(cost),
    total_micros: '0',
    dispute: { state: 'granted', decision: decision.explanation },
  });
  // Both sides see why; the renter's own words are not the owner's.
  const seen = async (as: string, user: TestUser) =>
    parsed(listDisputes.reply, await market.call(`/v1/disputes?as=${as}`, { token: user.token })).items.find(
      (one) => one.job_id === id,
    );
  expect((await seen('renter', renter))?.decisions[0]?.explanation).toBe(decision.explanation);
  const ofOwner = await seen('owner', owner);
  expect(ofOwner).toMatchObject({ message: null, evidence: null, state: 'granted' });
  expect(ofOwner?.decisions[0]?.explanation).toBe(decision.explanation);
  expect(errorOf(await market.call('/v1/disputes?as=operator', { token: renter.token })).code).toBe(
    'auth/forbidden',
  );
  // Money that was given back stays given, and is given once.
  for (const outcome of ['granted', 'denied'])
    expect(errorOf(await decide(opened.id, { outcome, explanation: 'again' })).code).toBe('dispute/decided');
});

test('what was denied may be granted later, in part; what was denied moved no money', async () => {
  const id = await ranJob(50);
  const { id: dispute } = parsed(openDispute.reply, await contest(id, 'wrong-bill'));
  const before = await available();
  await decide(dispute, { outcome: 'denied', explanation: 'The meter and the books agree.' });
  expect([(await paymentOf(id))?.state, await available()]).toEqual(['succeeded', before]);
  const granted = await decide(dispute, {
    outcome: 'granted',
    blame: 'platform',
    explanation: 'A courtesy.',
    refund_micros: '20000',
  });
  expect(parsed(decideDispute.reply, granted).decisions).toHaveLength(2);
  expect(await available()).toBe(before + 20_000n);
  const kinds = (await transfersOf(id)).map(({ kind }) => kind);
  expect(kinds).not.toContain('claw-back');
  expect((await verified(id)).refunded_micros).toBe('20000');
});

test('earnings that were paid out already become a debt, which later earnings pay back first', async () => {
  const id = await ranJob(40);
  await payOut();
  const { id: dispute } = parsed(openDispute.reply, await contest(id));
  await decide(dispute, { outcome: 'granted', explanation: 'It is so.' });
  const owed = await debt();
  expect(owed).toBeGreaterThanOrEqual(36_000n);
  expect(await payable()).toBe(0n);
  await ranJob(100);
  await waitUntil('the debt is paid back', async () => {
    await releaseEarnings(market.db, payouts);
    await payDebts(market.db);
    return (await debt()) === 0n;
  });
  expect(await payable()).toBeGreaterThan(0n);
  expect(await payDebts(market.db)).toBe(0);
});

test('a result that is not stored as it arrived decides itself, at the cost of the market', async () => {
  const bytes = new Uint8Array(Buffer.from('precious'));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const id = await ranJob(30, { work: (task) => task.putArtifact('model.json', sha256, bytes) });
  const earned = await payable();
  const folder = join(market.config.home, 'blobs');
  const { rows } = await market.db.execute<{ key: string }>(
    sql`select blob_key as key from artifacts where job_id = ${id}`,
  );
  const key = rows[0]?.key ?? '';
  const paths = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && join(entry.parentPath, entry.name).endsWith(key))
    .map((entry) => join(entry.parentPath, entry.name));
  expect(paths).toHaveLength(1);
  await writeFile(paths[0] ?? '', 'precieux');
  const opened = parsed(openDispute.reply, await contest(id, 'damaged-result'));
  expect(opened).toMatchObject({
    state: 'granted',
    decisions: [{ rule: 'result-damaged', blame: 'platform' }],
  });
  expect(await payable()).toBe(earned);
});

test('a machine that spoiled jobs of others on that day is to blame by rule, and its record says so', async () => {
  const id = await ranJob(20, { exitCode: 1 });
  for (let others = 0; others < 2; others += 1) {
    const user = await market.addUser();
    const json = { image: 'x', max_price_per_hour_micros: '10000000' };
    const submitted = await market.call('/v1/jobs', { method: 'POST', token: user.token, json });
    const task = await machine.acceptNext();
    await task.start();
    await task.call('/ended', { reason: 'provider-error', detail: null, exit_code: null, log_chunks: 0 });
    await task.call('/released', {});
    const job = parsed(createJob.reply, submitted).id;
    await market.call(`/v1/jobs/${job}/cancel`, { method: 'POST', token: user.token });
  }
  const reliability = async () =>
    (await market.db.select().from(providers).where(eq(providers.id, machine.providerId)))[0]
      ?.reliabilityMilli ?? 0;
  const before = await reliability();
  const opened = parsed(openDispute.reply, await contest(id, 'machine-failed'));
  expect(opened.decisions[0]).toMatchObject({ rule: 'machine-failed-others', blame: 'provider' });
  expect(await reliability()).toBeLessThan(before);
});

test('twice at once there is one dispute, one refund and one decision', async () => {
  const id = await ranJob(10);
  const opened = await Promise.all(Array.from({ length: 4 }, () => contest(id)));
  expect(opened.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409, 409]);
  const { id: dispute } = parsed(
    openDispute.reply,
    opened.find(({ status }) => status === 201) ?? (await contest(id)),
  );
  const before = await available();
  const cost = (await paymentOf(id))?.amountMicros ?? 0n;
  const decided = await Promise.all(
    Array.from({ length: 4 }, () => decide(dispute, { outcome: 'granted', explanation: 'Yes.' })),
  );
  expect(decided.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409, 409, 409]);
  expect(await available()).toBe(before + cost);
  expect((await transfersOf(id)).filter(({ kind }) => kind === 'refund')).toHaveLength(1);
});

test('a dispute that races the settlement is refused or comes after it, and the books agree', async () => {
  for (let round = 0; round < 5; round += 1) {
    const json = { image: 'x', max_price_per_hour_micros: '10000000' };
    const { id } = parsed(
      createJob.reply,
      await market.call('/v1/jobs', { method: 'POST', token: renter.token, json }),
    );
    const task = await machine.acceptNext();
    await task.start();
    await market.db
      .update(leases)
      .set({ startedAt: sql`${leases.startedAt} - interval '5 s'` })
      .where(eq(leases.id, task.leaseId));
    const [, ...answers] = await Promise.all([
      task.finish(),
      ...Array.from({ length: 5 }, () => contest(id)),
    ]);
    for (const answer of answers.filter(({ status }) => status !== 201))
      expect(['dispute/not-settled', 'dispute/exists']).toContain(errorOf(answer).code);
    await waitUntil('the job is settled', async () => (await paymentOf(id))?.settledAt);
    const state = (await paymentOf(id))?.state;
    expect(state).toBe(answers.some(({ status }) => status === 201) ? 'disputed' : 'succeeded');
  }
});

test('what cannot be contested is said: nothing paid, too late, refunded already, not one’s own', async () => {
  const json = { image: 'x', requirements: { gpus: 8 } };
  const submitted = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json });
  const { id: free } = parsed(createJob.reply, submitted);
  expect(errorOf(await contest(free)).code).toBe('dispute/not-settled');
  await market.call(`/v1/jobs/${free}/cancel`, { method: 'POST', token: renter.token });
  await waitUntil('the job is settled', async () => (await paymentOf(free))?.settledAt);
  expect(errorOf(await contest(free)).code).toBe('dispute/nothing-billed');
  const late = await ranJob(5);
  await market.db
    .update(jobs)
    .set({ finishedAt: sql`${jobs.finishedAt} - interval '15 days'` })
    .where(eq(jobs.id, late));
  expect(errorOf(await contest(late)).code).toBe('dispute/too-late');
  expect(errorOf(await contest(late, 'other', owner)).code).toBe('job/not-found');
  const done = await ranJob(5);
  const { id } = parsed(openDispute.reply, await contest(done));
  await decide(id, { outcome: 'granted', explanation: 'Yes.' });
  expect(errorOf(await contest(done)).code).toBe('dispute/exists');
});
