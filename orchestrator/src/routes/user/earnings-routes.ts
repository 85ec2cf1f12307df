import { payoutId, type UserId, userId as userIdForm } from '@computefabric/protocol/ids';
import * as api from '@computefabric/protocol/user-api/earnings';
import { AppError } from '@computefabric/runtime/errors';
import { invariant, InvariantError } from '@computefabric/runtime/invariant';
import { findUser } from '../../accounts/user.store.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { withIdempotency } from '../../http/idempotency.ts';
import { cursorAs, pageFrom } from '../../http/page.ts';
import { createPayout } from '../../payouts/create-payout.ts';
import { findHoldings, findOwners } from '../../payouts/holding.store.ts';
import { changeSchedule, findPayoutAccount, findPayoutAccounts } from '../../payouts/payout-account.store.ts';
import { findPayout, listPayouts } from '../../payouts/payout.store.ts';
import { viewAccount, viewOwed, viewPayout } from '../../payouts/payout-view.ts';
import { readEarnings } from '../../payouts/read-earnings.ts';
import { readStatement } from '../../payouts/read-statement.ts';
import { correctPayout, recordPayout } from '../../payouts/record-payout.ts';
import { setUpPayouts } from '../../payouts/set-up-payouts.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** What owners earn and how they are paid; what the operator pays by other means. */
export function earningsRoutes({ db, payouts }: UserRouteDeps): BoundRoute[] {
  const configured = () => {
    const { stripe } = payouts;
    if (stripe === null) throw new AppError('payout/not-configured');
    return { ...payouts, stripe };
  };
  const isOperator = async (userId: UserId) => (await findUser(db, userId)).role === 'operator';
  const requireOperator = async (userId: UserId) => {
    if (!(await isOperator(userId))) throw new AppError('auth/forbidden');
  };
  const viewed = async (tx: Parameters<typeof findPayout>[0], id: Parameters<typeof findPayout>[1]) => {
    const row = await findPayout(tx, id);
    invariant(row, `payout ${id} exists once it was made`);
    return row;
  };

  return [
    route(api.getEarnings, async ({ caller }) => await readEarnings(payouts, caller.userId)),

    route(
      api.getStatement,
      async ({ caller, query }) => await readStatement(db, caller.userId, query.period),
    ),

    route(api.getPayoutAccount, async ({ caller }) =>
      viewAccount(payouts, await findPayoutAccount(db, caller.userId)),
    ),

    route(api.setUpPayouts, async ({ caller, body }) => ({
      url: await setUpPayouts(configured(), caller.userId, body.country),
    })),

    route(api.changePayoutAccount, async ({ caller, body }) => {
      const minimumMicros = body.minimum_micros === undefined ? undefined : BigInt(body.minimum_micros);
      const least = payouts.settings.minimumMicros;
      if (minimumMicros !== undefined && minimumMicros < least) {
        throw new AppError('payout/below-minimum', { details: { minimum_micros: String(least) } });
      }
      const change = { schedule: body.schedule, minimumMicros };
      const row = await db.transaction((tx) => changeSchedule(tx, caller.userId, change));
      return viewAccount(payouts, row);
    }),

    route(api.requestPayout, async ({ caller: { userId }, body, idempotencyKey }) => {
      const { settings } = configured();
      const call = { userId, key: idempotencyKey, contract: api.requestPayout, request: body };
      const amountMicros = body.amount_micros === null ? null : BigInt(body.amount_micros);
      const leastMicros = settings.minimumMicros;
      return await withRetry(() =>
        withIdempotency(db, call, async (tx) => {
          const { id } = await createPayout(tx, settings, { userId, amountMicros, leastMicros });
          return viewPayout(await viewed(tx, id), 'owner');
        }),
      );
    }),

    route(api.listPayouts, async ({ caller: { userId }, query }) => {
      if (query.as === 'operator') await requireOperator(userId);
      const rows = await listPayouts(db, {
        userId: query.as === 'operator' ? null : userId,
        state: query.state,
        limit: query.limit + 1,
        before: cursorAs(payoutId, query.cursor),
      });
      return pageFrom(
        rows,
        query.limit,
        (row) => row.id,
        (row) => viewPayout(row, query.as),
      );
    }),

    route(api.getPayout, async ({ caller: { userId }, params }) => {
      const row = await findPayout(db, params.payout);
      if (row?.userId === userId) return viewPayout(row, 'owner');
      if (!row || !(await isOperator(userId))) throw new AppError('payout/not-found');
      return viewPayout(row, 'operator');
    }),

    route(api.listOwed, async ({ caller: { userId }, query }) => {
      await requireOperator(userId);
      const after = cursorAs(userIdForm, query.cursor) ?? null;
      const page = pageFrom(
        await findOwners(db, after, query.limit + 1),
        query.limit,
        (id) => id,
        (id) => id,
      );
      const holdings = await findHoldings(db, page.items, payouts.settings);
      const accounts = await findPayoutAccounts(db, page.items);
      const items: api.OwedToOwner[] = [];
      for (const id of page.items) {
        const holding = holdings.find((one) => one.userId === id);
        const { email } = await findUser(db, id);
        const account = accounts.find((one) => one.userId === id) ?? null;
        if (holding) items.push(viewOwed({ id, email }, holding, account));
      }
      return { ...page, items };
    }),

    route(api.recordPayout, async ({ caller: { userId }, body, idempotencyKey }) => {
      await requireOperator(userId);
      const call = { userId, key: idempotencyKey, contract: api.recordPayout, request: body };
      return await withRetry(() =>
        withIdempotency(db, call, async (tx) => {
          const { id } = await recordPayout(tx, payouts.settings, {
            to: body.to,
            amountMicros: BigInt(body.amount_micros),
            reference: body.reference,
            recordedBy: userId,
          });
          return viewPayout(await viewed(tx, id), 'operator');
        }),
      );
    }),

    route(api.correctPayout, async ({ caller: { userId }, params, body }) => {
      await requireOperator(userId);
      return await db.transaction(async (tx) => {
        const { id } = await correctPayout(tx, params.payout, body.reason);
        return viewPayout(await viewed(tx, id), 'operator');
      });
    }),
  ];
}

/** A decision about a dispute may take the money in the same moment: what is left then is looked at anew. */
async function withRetry<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (!(thrown instanceof InvariantError)) throw thrown;
    return await work();
  }
}
