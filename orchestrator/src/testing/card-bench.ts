import { createDb } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { createTestDatabase } from '@computefabric/db/testing';
import { type JobId, newId, type ProviderId, type UserId } from '@computefabric/protocol/ids';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { sql } from 'drizzle-orm';
import { startStripeServer } from '../../../tests/stripe-server/server.ts';
import { settleJob } from '../billing/settle-job.ts';
import { endJob } from '../jobs/end-job.ts';
import { submitJob } from '../jobs/submit-job.ts';
import type { StripeGateway } from '../stripe/stripe-gateway.ts';
import { moveCardMoney } from '../topups/card-payments.worker.ts';
import { openCardPage, syncCards } from '../topups/cards.ts';
import { followTopUp } from '../topups/follow-top-up.ts';
import { startTopUp } from '../topups/start-top-up.ts';
import { marketFixture } from './market-fixture.ts';
import { gatewayTo, topUpDepsOf } from './stripe-market.ts';

export type CardBench = Awaited<ReturnType<typeof startCardBench>>;

/** Renters, cards and ended jobs on a database and a stand-in for Stripe of their own, without events. */
export async function startCardBench(mode: 'prepaid' | 'per_job') {
  const database = await createTestDatabase();
  const { db, close } = createDb(database.url, { poolSize: 10 });
  const stripe = await startStripeServer();
  const gateway = gatewayTo(stripe);
  const deps = topUpDepsOf(db, gateway, mode);
  const market = marketFixture(db);
  const owner = await market.addUser();
  const machine = await market.addMachine(owner);

  const sessionIn = (url: string | null) => /cs_\w+/.exec(url ?? '')?.[0] ?? '';

  async function saveCard(userId: UserId, card: string): Promise<void> {
    const url = await openCardPage(deps, userId, newId('topUp'));
    await stripe.control('pay-checkout', { id: sessionIn(url), card });
    await syncCards(deps, userId);
  }

  return {
    db,
    databaseUrl: database.url,
    stripe,
    gateway,
    deps,
    owner,

    async addRenter(card?: string): Promise<UserId> {
      const userId = await market.addUser();
      if (card !== undefined) await saveCard(userId, card);
      return userId;
    },
    saveCard,

    /** Paid by checkout and booked. */
    async topUp(userId: UserId, micros: bigint, card = 'pm_card_visa') {
      const request = {
        userId,
        requestKey: newId('topUp'),
        method: 'checkout' as const,
        amountMicros: micros,
      };
      const { topUp } = await startTopUp(deps, { ...request, saveCard: false });
      await stripe.control('pay-checkout', { id: sessionIn(topUp.checkoutUrl), card });
      await followTopUp(deps, topUp.id);
      return topUp.id;
    },

    /** A job with a hold of `holdMicros`. */
    submit: (userId: UserId, holdMicros: bigint) =>
      db.transaction(async (tx) => {
        const spec = jobSpec.parse({ image: 'busybox', time_limit_seconds: 3_600 });
        return (await submitJob(tx, { userId, spec, defaultMaxPricePerHourMicros: holdMicros })).id;
      }),

    /** An owner with a machine. */
    async addOwner(): Promise<{ userId: UserId; machine: ProviderId }> {
      const userId = await market.addUser();
      return { userId, machine: await market.addMachine(userId) };
    },

    /** Ends the job with this cost and settles it. */
    async end(jobId: JobId, costMicros: bigint, on = { machine, feeMicros: 0n }): Promise<void> {
      await db.insert(leases).values({
        id: newId('lease'),
        jobId,
        providerId: on.machine,
        attempt: 1,
        state: 'released',
        pricePerHourMicros: 1n,
        gpuIds: [],
        cpuMilli: 100,
        memoryMib: 16,
        expiresAt: new Date(),
        costMicros,
        earnedMicros: costMicros - on.feeMicros,
      });
      await db.transaction((tx) => endJob(tx, { jobId, reason: 'exited-zero', exitCode: 0 }));
      await settleJob(db, jobId);
    },

    /** One pass of the worker, with everything due; by another gateway if one is given. */
    async pass(by: StripeGateway = gateway): Promise<void> {
      await db.execute(sql`update top_ups set not_before = now() - interval '1 second'`);
      await db.execute(sql`update card_refunds set not_before = now() - interval '1 second'`);
      await db.execute(sql`update card_disputes set not_before = now() - interval '1 second'`);
      await moveCardMoney({ ...deps, stripe: by });
    },

    async close(): Promise<void> {
      await stripe.close();
      await close();
      await database.close();
    },
  };
}
