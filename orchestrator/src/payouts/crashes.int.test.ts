import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditLedger } from '../ledger/audit.store.ts';
import { dyingAt } from '../testing/dying-gateway.ts';
import { freePort, spawnOrchestrator, untilReady } from '../testing/orchestrator-process.ts';
import { type PayoutBench, startPayoutBench, type TestOwner } from '../testing/payout-bench.ts';
import { balancesOf } from '../testing/stripe-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { reconcile } from '../topups/reconcile.ts';
import { listPayouts } from './payout.store.ts';

// `npm run payouts:kills` is the long form: 200 of the random deaths, and processes that are really killed.
const kills = Number(process.env.PAYOUT_KILLS ?? 4);
const longForm = process.env.PAYOUT_KILLS !== undefined;

let bench: PayoutBench;
beforeAll(async () => {
  bench = await startPayoutBench();
});
afterAll(() => bench.close());

const USD = 1_000_000n;

/** The short form has those after which Stripe has done what nobody heard of. */
const faults = longForm
  ? (['lost', 'error', 'error_after', 'down', 'rate_limited'] as const)
  : (['lost', 'error_after'] as const);

const mishaps: [string, () => Promise<void>][] = [
  ...[1, 2, 3].flatMap((at) =>
    (['before', 'after'] as const).map((when): [string, () => Promise<void>] => [
      `the process dies ${when} call ${at}`,
      () => bench.payPass(dyingAt(at, when, bench.gateway)),
    ]),
  ),
  ...faults.flatMap((kind) =>
    (
      [
        ['POST', '/transfers$'],
        ['GET', '/transfers$'],
        ...(longForm ? ([['GET', '/accounts/\\w+$']] as const) : []),
      ] as const
    ).flatMap(([method, path]) =>
      // Once: the SDK's own repeat sees what is kept under the key. Thrice: it gives up.
      (longForm || method === 'POST' ? [1, 3] : [1]).map((times): [string, () => Promise<void>] => [
        `Stripe's answer to ${method} ${path} is ${kind}, ${times} in a row`,
        async () => {
          await bench.stripe.control('faults', { kind, path, method, times });
          await bench.payPass();
          await bench.stripe.control('clear-faults');
        },
      ]),
    ),
  ),
];

async function dueOwner(): Promise<TestOwner> {
  const owner = await bench.addPaidOwner();
  await bench.earn(owner, 5n * USD);
  await bench.makeDue(owner);
  return owner;
}

async function expectPaidOnce(owner: TestOwner): Promise<void> {
  expect(await bench.transfersTo(owner)).toEqual([500]);
  const { provider_payable: payable, provider_in_transit: transit } = await balancesOf(
    bench.db,
    owner.userId,
  );
  expect([payable, transit]).toEqual([0n, 0n]);
  const rows = await listPayouts(bench.db, {
    userId: owner.userId,
    state: undefined,
    limit: 10,
    before: undefined,
  });
  expect(rows).toMatchObject([{ state: 'sent' }]);
}

describe('an owner is paid exactly once', () => {
  test.each(mishaps)('when %s', async (_name, mishap) => {
    const owner = await dueOwner();
    await mishap();
    for (let pass = 0; pass < 3; pass += 1) await bench.payPass();
    await expectPaidOnce(owner);
  });

  test(`in ${kills} deaths at random calls, several in a row, and by two processes at once`, {
    timeout: 60_000 + kills * 3_000,
  }, async () => {
    const owners: TestOwner[] = [];
    for (let number = 0; number < kills; number += 1) {
      owners.push(await dueOwner());
      const pass = () =>
        bench.payPass(
          dyingAt(1 + Math.floor(Math.random() * 4), Math.random() < 0.5 ? 'before' : 'after', bench.gateway),
        );
      await (Math.random() < 0.3 ? Promise.all([pass(), pass()]) : pass());
    }
    for (let pass = 0; pass < 3; pass += 1) await bench.payPass();
    for (const owner of owners) await expectPaidOnce(owner);
  });
});

test('a process that is killed while Stripe makes a transfer books that one when it is back', {
  timeout: 600_000,
}, async () => {
  for (let number = 0; number < (longForm ? 5 : 1); number += 1) {
    const owner = await dueOwner();
    const home = await mkdtemp(join(tmpdir(), 'cf-payout-'));
    const port = await freePort();
    const start = () =>
      spawnOrchestrator({
        DATABASE_URL: bench.databaseUrl,
        COMPUTEFABRIC_HOME: home,
        ORCHESTRATOR_PORT: String(port),
        STRIPE_SECRET_KEY: 'sk_test_standin',
        STRIPE_API_BASE: bench.stripe.url,
        EARNINGS_HOLD_JOBS: '1',
        PAYOUT_MINIMUM_USD: '1',
      });
    await bench.stripe.control('faults', {
      kind: 'stall',
      method: 'POST',
      path: '/transfers$',
      ms: 120_000,
    });
    const first = start();
    let second: ReturnType<typeof start> | undefined;
    try {
      await untilReady(`http://127.0.0.1:${port}`, first);
      await waitUntil(
        'Stripe has made it',
        async () => (await bench.transfersTo(owner)).length === 1,
        60_000,
      );
      await first.stop('SIGKILL');
      expect((await balancesOf(bench.db, owner.userId)).provider_in_transit).toBe(5n * USD);
      second = start();
      await untilReady(`http://127.0.0.1:${port}`, second);
      // The minutes in which the dead one might still have been at it are over.
      const booked = async () => {
        await bench.db.execute("update payouts set not_before = now() where state = 'sending'");
        return (await balancesOf(bench.db, owner.userId)).provider_in_transit === 0n;
      };
      await waitUntil('the transfer is booked', booked, 60_000);
      await expectPaidOnce(owner);
    } finally {
      first.child.kill('SIGKILL');
      second?.child.kill('SIGKILL');
      await second?.ended;
      await bench.stripe.control('clear-faults');
      await rm(home, { recursive: true, force: true });
    }
  }
});

test('the books and Stripe agree after all of this', async () => {
  expect(await auditLedger(bench.db)).toEqual([]);
  expect(await reconcile(bench.deps, 0)).toEqual({ differenceMicros: 0n, unexplained: [] });
});
