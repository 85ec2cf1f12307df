import type { JobId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { sql } from 'drizzle-orm';
import { silentLogger } from '@computefabric/runtime/log';
import { payOwners } from '../payouts/pay-owners.worker.ts';
import { findPayoutAccount } from '../payouts/payout-account.store.ts';
import type { PayoutSettings, TransferDeps } from '../payouts/payout-deps.ts';
import { setUpPayouts, syncPayoutAccount } from '../payouts/set-up-payouts.ts';
import type { StripeGateway } from '../stripe/stripe-gateway.ts';
import { startCardBench } from './card-bench.ts';

export type PayoutBench = Awaited<ReturnType<typeof startPayoutBench>>;

export interface TestOwner {
  userId: UserId;
  machine: ProviderId;
}

const week = 7 * 86_400;

/** Owners who earn and are paid, on a database and a stand-in for Stripe of their own, without events. */
export async function startPayoutBench(changed: Partial<PayoutSettings> = {}) {
  const cards = await startCardBench('prepaid');
  const { db, stripe, gateway } = cards;
  const settings = {
    holdSeconds: week,
    firstJobs: 1,
    minimumMicros: 1_000_000n,
    returnUrl: 'http://127.0.0.1:3000/earnings',
    ...changed,
  };
  const deps: TransferDeps = { db, log: silentLogger, stripe: gateway, settings, playMoney: false };
  const renter = await cards.addRenter();
  await cards.topUp(renter, 5_000_000_000n, 'pm_card_bypassPending');

  const accountOf = async ({ userId }: TestOwner) => {
    const id = (await findPayoutAccount(db, userId))?.accountId;
    invariant(id, 'the owner has an account at Stripe');
    return id;
  };

  return {
    ...cards,
    payouts: deps,
    renter,
    accountOf,

    /** Has gone through Stripe's pages. */
    async addPaidOwner(): Promise<TestOwner> {
      const owner = await cards.addOwner();
      await setUpPayouts(deps, owner.userId, 'US');
      await stripe.control('complete-onboarding', { id: await accountOf(owner) });
      await syncPayoutAccount(deps, owner.userId);
      return owner;
    },

    /** A settled job on the owner's machine; `old` when its hold window is over. */
    async earn(
      { machine }: TestOwner,
      micros: bigint,
      {
        age = 'old',
        by = renter,
        feeMicros = 0n,
      }: { age?: 'old' | 'young'; by?: UserId; feeMicros?: bigint } = {},
    ): Promise<JobId> {
      const job = await cards.submit(by, micros + feeMicros);
      await cards.end(job, micros + feeMicros, { machine, feeMicros });
      if (age === 'old') await this.age(job);
      return job;
    },

    /** Makes a job's transfers as old as the hold window; the rule against changes is off for that moment. */
    async age(job: JobId): Promise<void> {
      await db.transaction(async (tx) => {
        await tx.execute(sql`alter table ledger_transfers disable trigger user`);
        await tx.execute(
          sql`update ledger_transfers set created_at = created_at - make_interval(secs => ${settings.holdSeconds + 60}) where job_id = ${job} and kind in ('earn', 'fee')`,
        );
        await tx.execute(sql`alter table ledger_transfers enable trigger user`);
      });
    },

    /** The owner's schedule says now. */
    async makeDue({ userId }: TestOwner): Promise<void> {
      await db.execute(sql`update payout_accounts set next_payout_at = now() where user_id = ${userId}`);
    },

    /** One pass of the worker, with every payout due that was not sent; by another gateway if one is given. */
    async payPass(by: StripeGateway = gateway): Promise<void> {
      await db.execute(
        sql`update payouts set not_before = now() - interval '1 second' where state in ('created', 'sending')`,
      );
      await payOwners({ ...deps, stripe: by });
    },

    /** Transfers to the owner at Stripe, cents. */
    async transfersTo(owner: TestOwner): Promise<number[]> {
      const account = await accountOf(owner);
      return stripe.world
        .all('transfer')
        .filter(({ destination }) => destination === account)
        .map(({ amount }) => amount);
    },
  };
}
