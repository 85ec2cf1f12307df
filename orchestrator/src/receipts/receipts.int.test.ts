import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leases } from '@computefabric/db/schema/leases';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import { createTestDatabase } from '@computefabric/db/testing';
import type { JobId } from '@computefabric/protocol/ids';
import { canonicalJson } from '@computefabric/protocol/receipts/canonical-json';
import type { MarketKey } from '@computefabric/protocol/receipts/receipt';
import { createGroup } from '@computefabric/protocol/user-api/groups';
import { createJob } from '@computefabric/protocol/user-api/jobs';
import { getGroupReceipt, getReceipt, listMarketKeys } from '@computefabric/protocol/user-api/receipts';
import { endorsementText } from '@computefabric/runtime/receipts/seal-receipt';
import { isSignedBy, newPrivateKey, signerOf } from '@computefabric/runtime/receipts/signatures';
import { verifyReceipt } from '@computefabric/runtime/receipts/verify-receipt';
import { Secret } from '@computefabric/runtime/secret';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDb } from '@computefabric/db/client';
import { testCards } from '../testing/market-fixture.ts';
import { errorOf, parsed } from '../testing/replies.ts';
import { TestAgent, type TestTask } from '../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { listKeys } from './market-key.store.ts';
import { openMarketKey } from './open-market-key.ts';

let market: TestMarket;
let renter: TestUser;
let machine: TestAgent;

beforeAll(async () => {
  market = await startTestMarket({ PLATFORM_FEE_BPS: '500' });
  renter = await market.addUser({ micros: 1_000_000_000n });
  machine = await TestAgent.join(market, await market.addUser(), { gpus: testCards(4), cpus: 64 });
});
afterAll(() => market.close());

async function submit(spec: object = {}): Promise<{ id: JobId; task: TestTask }> {
  const json = { image: 'busybox', requirements: { gpus: 1 }, ...spec };
  const answer = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json });
  const { id } = parsed(createJob.reply, answer);
  return { id, task: await machine.acceptNext() };
}

/** The program has run for this long already, by the only clock that counts. */
async function hasRun(task: TestTask, seconds: number): Promise<void> {
  await market.db
    .update(leases)
    .set({ startedAt: sql`${leases.startedAt} - make_interval(secs => ${seconds})` })
    .where(eq(leases.id, task.leaseId));
}

const ask = (id: string) => market.call(`/v1/jobs/${id}/receipt`, { token: renter.token });

/** The receipt once the job is settled. */
async function receiptOf(id: string) {
  await waitUntil('a receipt', async () => (await ask(id)).status === 200);
  return parsed(getReceipt.reply, await ask(id));
}

async function keys(): Promise<Map<string, string>> {
  const reply = parsed(listMarketKeys.reply, await market.call('/v1/keys'));
  return new Map(reply.keys.map((each) => [each.key, each.public_key]));
}

describe('the receipt of a job', () => {
  test('says where it ran, for how long, what it gave and what it cost, equal to the ledger to the micro', async () => {
    const { id, task } = await submit();
    await task.start();
    await task.print(['loading…\n', 'step 1\n']);
    await task.print(['careful\n'], 'stderr');
    const model = new Uint8Array(Buffer.from('{"ok":true}'));
    const sha256 = createHash('sha256').update(model).digest('hex');
    await task.putArtifact('model.json', sha256, model);
    await hasRun(task, 100);
    await task.finish();
    const signed = await receiptOf(id);
    const { receipt } = signed;
    expect(verifyReceipt(signed, await keys())).toMatchObject({ problems: [], notes: [] });
    const [one] = receipt.tries;
    expect(one).toMatchObject({
      machine: { id: machine.providerId, name: 'test machine' },
      gpus: [{ uuid: expect.stringMatching(/^GPU-test-\d$/) as string, simulated: true }],
      end_reason: 'exited-zero',
      fault: 'nobody',
      files: [{ path: 'model.json', size_bytes: model.byteLength, sha256 }],
      log: { chunks: 3 },
    });
    const output = createHash('sha256').update('loading…\nstep 1\ncareful\n').digest('hex');
    expect([one?.log.sha256, receipt.log_sha256]).toEqual([output, output]);
    expect(one?.billed_ms).toBeGreaterThanOrEqual(100_000);
    expect(one?.intervals).toHaveLength(1);
    expect(one?.intervals[0]?.agent_signature).not.toBeNull();
    const moved = await market.db.select().from(ledgerTransfers).where(eq(ledgerTransfers.jobId, id));
    const sum = (...kinds: string[]) =>
      moved.filter(({ kind }) => kinds.includes(kind)).reduce((total, each) => total + each.amountMicros, 0n);
    expect(receipt).toMatchObject({
      cost_micros: String(sum('earn', 'fee')),
      fee_micros: String(sum('fee')),
      earned_micros: String(sum('earn')),
      released_micros: String(sum('release')),
      hold_micros: String(sum('hold')),
      payment: { state: 'succeeded' },
    });
    expect(sum('fee')).toBe(sum('earn', 'fee') / 20n);
    expect(sum('fee')).toBeGreaterThan(0n);
  });

  test('is there when the job is settled, and stays the same for whoever asks again', async () => {
    const { id, task } = await submit();
    const early = await ask(id);
    expect([early.status, errorOf(early).code]).toEqual([409, 'receipt/not-ready']);
    await task.start();
    await task.finish();
    await receiptOf(id);
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(id)));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const again = parsed(getReceipt.reply, await ask(id));
    expect(canonicalJson(again)).toBe(canonicalJson(parsed(getReceipt.reply, answers[0] ?? early)));
  });

  test('several that ask first at the same moment get one and the same', async () => {
    const { id, task } = await submit();
    await task.start();
    await task.finish();
    await waitUntil('the job is settled', async () => {
      const { rows } = await market.db.execute(
        sql`select 1 from payments where job_id = ${id} and state = 'succeeded'`,
      );
      return rows.length === 1;
    });
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(id)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(new Set(answers.map((answer) => parsed(getReceipt.reply, answer).receipt.number))).toEqual(
      new Set([1]),
    );
  });

  test('shows a try that its machine spoiled as free, with whose fault it was', async () => {
    const { id, task } = await submit();
    await task.start();
    await hasRun(task, 20);
    await task.call('/ended', { reason: 'provider-error', detail: 'xid 79', exit_code: null, log_chunks: 0 });
    await task.call('/released', {});
    await market.db.execute(sql`update jobs set not_before = null where id = ${id}`);
    const again = await machine.acceptNext();
    await again.start();
    await hasRun(again, 10);
    await again.finish(3);
    const signed = await receiptOf(id);
    expect(verifyReceipt(signed, await keys()).problems).toEqual([]);
    const [spoiled, ran] = signed.receipt.tries;
    expect(spoiled).toMatchObject({ billed_ms: 0, cost_micros: '0', fault: 'provider' });
    expect(spoiled?.free_ms).toBeGreaterThanOrEqual(20_000);
    expect(ran).toMatchObject({ free_ms: 0, fault: 'renter', exit_code: 3 });
    expect(signed.receipt.free_ms).toBe(spoiled?.free_ms);
  });

  test('of a job that never ran is a receipt over nothing', async () => {
    const json = { image: 'busybox', requirements: { gpus: 8, min_vram_mib: 1_000_000 } };
    const { id } = parsed(
      createJob.reply,
      await market.call('/v1/jobs', { method: 'POST', token: renter.token, json }),
    );
    await market.call(`/v1/jobs/${id}/cancel`, { method: 'POST', token: renter.token, json: {} });
    const signed = await receiptOf(id);
    expect(verifyReceipt(signed, await keys()).problems).toEqual([]);
    expect(signed.receipt).toMatchObject({ tries: [], total_micros: '0', cost_micros: '0' });
    expect(signed.receipt.released_micros).toBe(signed.receipt.hold_micros);
  });

  test('stands without the signature of an old agent, and one that does not fit is left out', async () => {
    const { signer } = machine;
    machine.signer = null;
    const old = await submit();
    await old.task.start();
    await old.task.finish();
    // It signs with a key that it has never told.
    machine.signer = signerOf(newPrivateKey());
    const odd = await submit();
    await odd.task.start();
    await odd.task.finish();
    machine.signer = signer;
    for (const { id } of [old, odd]) {
      const { problems, notes } = verifyReceipt(await receiptOf(id), await keys());
      expect(problems).toEqual([]);
      expect(notes).toHaveLength(1);
    }
  });

  test('is counted on when the signature of the machine comes later', async () => {
    const { id, task } = await submit();
    await task.start();
    const end = { reason: 'exited-zero', detail: null, exit_code: 0, log_chunks: 0 };
    await task.call('/exited', { exit_code: 0 });
    const { metering } = JSON.parse((await task.call('/ended', end)).text) as {
      metering: Parameters<TestTask['countersign']>[0];
    };
    expect((await receiptOf(id)).receipt.number).toBe(1);
    await task.call('/released', { countersigned: await task.countersign(metering) });
    const { receipt } = await receiptOf(id);
    expect(receipt.number).toBe(2);
    expect(receipt.tries[0]?.agent_keys).toHaveLength(1);
  });
});

test('an array has one bill, the sum of its members', async () => {
  const json = { spec: { image: 'busybox' }, array: { count: 3 } };
  const answer = await market.call('/v1/groups', { method: 'POST', token: renter.token, json });
  const { id } = parsed(createGroup.reply, answer);
  const askGroup = () => market.call(`/v1/groups/${id}/receipt`, { token: renter.token });
  expect(errorOf(await askGroup()).code).toBe('receipt/not-ready');
  for (const exitCode of [0, 0, 1]) {
    const task = await machine.acceptNext();
    await task.start();
    await hasRun(task, 5);
    await task.finish(exitCode);
  }
  await waitUntil('a bill', async () => (await askGroup()).status === 200);
  const signed = parsed(getGroupReceipt.reply, await askGroup());
  expect(verifyReceipt(signed, await keys()).problems).toEqual([]);
  const singles = await Promise.all(signed.receipt.members.map((member) => receiptOf(member.job_id)));
  const total = singles.reduce((sum, { receipt }) => sum + BigInt(receipt.total_micros), 0n);
  expect(signed.receipt.total_micros).toBe(String(total));
  expect(total).toBeGreaterThan(0n);
});

describe('the key of a market', () => {
  let home: string;
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let pool: ReturnType<typeof createDb>;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'cf-key-'));
    database = await createTestDatabase();
    pool = createDb(database.url);
  });
  afterAll(async () => {
    await pool.close();
    await database.close();
    await rm(home, { recursive: true, force: true });
  });

  test('is made once, for the program alone, also when two start at once', async () => {
    const opened = await Promise.all([1, 2, 3].map(() => openMarketKey(pool.db, home, null)));
    expect(new Set(opened.map(({ keyId }) => keyId)).size).toBe(1);
    const { mode } = await stat(join(home, 'receipt-key.pem'));
    expect(mode & 0o777).toBe(0o600);
    expect(await listKeys(pool.db)).toHaveLength(1);
  });

  test('that is changed vouches for the next one, and stays published', async () => {
    const before = await openMarketKey(pool.db, home, null);
    await rename(join(home, 'receipt-key.pem'), join(home, 'receipt-key.old.pem'));
    const after = await openMarketKey(pool.db, home, null);
    const published = await listKeys(pool.db);
    const newer = published.find(({ key }) => key === after.keyId) as MarketKey;
    expect(published.map(({ key }) => key)).toContain(before.keyId);
    expect(newer.endorsed_by).toBe(before.keyId);
    expect(isSignedBy(before.publicKey, endorsementText(newer), newer.endorsement ?? '')).toBe(true);
  });

  test('may be given by a setting, in one line; a wrong one is named and not quoted', async () => {
    const pem = newPrivateKey();
    const given = await openMarketKey(pool.db, home, new Secret(pem.replaceAll('\n', String.raw`\n`)));
    expect(given.keyId).toBe(signerOf(pem).keyId);
    expect(await readFile(join(home, 'receipt-key.pem'), 'utf8')).not.toContain(pem.slice(30, 60));
    const wrong = openMarketKey(pool.db, home, new Secret('not a key'));
    await expect(wrong).rejects.toThrow('RECEIPT_SIGNING_KEY holds no Ed25519 private key in PEM');
  });
});
