import { topUpId } from '@computefabric/protocol/ids';
import * as api from '@computefabric/protocol/user-api/billing';
import { AppError } from '@computefabric/runtime/errors';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { withIdempotency } from '../../http/idempotency.ts';
import { cursorAs, pageFrom } from '../../http/page.ts';
import { readBilling, viewAutoTopUp, viewCardRefund, viewTopUp } from '../../topups/billing-view.ts';
import { listCardRefundsOf } from '../../topups/card-refund.store.ts';
import { openCardPage, payOwed, removeCard } from '../../topups/cards.ts';
import { refundBalance } from '../../topups/refund-balance.ts';
import { setAutoTopUp } from '../../topups/set-auto-top-up.ts';
import { startTopUp } from '../../topups/start-top-up.ts';
import { findTopUp, findUnpaid, listTopUpsOf } from '../../topups/top-up.store.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

const refundsShown = 200;

/** How people pay: balance, cards, top-ups, money back. Nothing here takes or shows the number of a card. */
export function billingRoutes({ db, topUps }: UserRouteDeps): BoundRoute[] {
  const configured = () => {
    if (!topUps) throw new AppError('billing/not-configured');
    return topUps;
  };

  return [
    route(api.getBilling, async ({ caller }) => await readBilling(db, topUps, caller.userId)),

    route(api.createTopUp, async ({ caller: { userId }, body, idempotencyKey }) => {
      const { topUp, clientSecret } = await startTopUp(configured(), {
        userId,
        requestKey: idempotencyKey,
        method: body.method,
        amountMicros: BigInt(body.amount_micros),
        saveCard: body.save_card,
      });
      return { top_up: viewTopUp(topUp), client_secret: clientSecret };
    }),

    route(api.listTopUps, async ({ caller, query }) => {
      const before = cursorAs(topUpId, query.cursor);
      const rows = await listTopUpsOf(db, caller.userId, { limit: query.limit + 1, before });
      return pageFrom(rows, query.limit, (row) => row.id, viewTopUp);
    }),

    route(api.getTopUp, async ({ caller, params }) => {
      const row = await findTopUp(db, params.topUp);
      if (row?.userId !== caller.userId) throw new AppError('billing/top-up-not-found');
      return viewTopUp(row);
    }),

    route(api.addCard, async ({ caller, idempotencyKey }) => ({
      url: await openCardPage(configured(), caller.userId, idempotencyKey),
    })),

    route(api.removeCard, async ({ caller, params }) => {
      await removeCard(configured(), caller.userId, params.card);
    }),

    route(api.setAutoTopUp, async ({ caller, body: { auto_top_up: auto } }) => {
      const row = await setAutoTopUp(
        configured(),
        caller.userId,
        auto && {
          thresholdMicros: BigInt(auto.threshold_micros),
          amountMicros: BigInt(auto.amount_micros),
          ceilingMicros: BigInt(auto.monthly_ceiling_micros),
        },
      );
      return { auto_top_up: row && viewAutoTopUp(row) };
    }),

    route(api.payOwed, async ({ caller }) => {
      await payOwed(configured(), caller.userId);
      return { unpaid: (await findUnpaid(db, caller.userId)).map(viewTopUp) };
    }),

    route(api.refundBalance, async ({ caller: { userId }, body, idempotencyKey }) => {
      configured();
      const amount = body.amount_micros === null ? null : BigInt(body.amount_micros);
      const call = { userId, key: idempotencyKey, contract: api.refundBalance, request: body };
      return await withIdempotency(db, call, async (tx) => ({
        items: (await refundBalance(tx, userId, amount)).map(viewCardRefund),
      }));
    }),

    route(api.listRefunds, async ({ caller }) => ({
      items: (await listCardRefundsOf(db, caller.userId, refundsShown)).map(viewCardRefund),
    })),
  ];
}
