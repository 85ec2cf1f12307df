import type { UserId } from '@computefabric/protocol/ids';
import { CURRENCY } from '@computefabric/protocol/money';
import type { Earnings } from '@computefabric/protocol/user-api/earnings';
import { invariant } from '@computefabric/runtime/invariant';
import { findHoldings } from './holding.store.ts';
import { findPayoutAccount } from './payout-account.store.ts';
import type { PayoutDeps } from './payout-deps.ts';
import { hasPayoutUnderWay, paidOutMicros } from './payout.store.ts';
import { obstacleOf, viewAccount, viewHolding } from './payout-view.ts';
import { listEarnedByDay } from './statement.store.ts';

const dayMs = 86_400_000;
const daysShown = 30;

/** What an owner's machines have earned, and where it is, as of one moment. */
export async function readEarnings(deps: PayoutDeps, userId: UserId): Promise<Earnings> {
  const { db, settings, playMoney } = deps;
  const midnight = Math.floor(Date.now() / dayMs) * dayMs;
  return await db.transaction(
    async (tx) => {
      const [holding] = await findHoldings(tx, [userId], settings);
      invariant(holding, 'each user asked for is answered');
      const account = await findPayoutAccount(tx, userId);
      const byDay = await listEarnedByDay(tx, userId, {
        from: new Date(midnight - (daysShown - 1) * dayMs),
        until: new Date(midnight + dayMs),
      });
      const since = (days: number) => {
        const first = new Date(midnight - (days - 1) * dayMs).toISOString().slice(0, 10);
        return String(byDay.reduce((sum, { day, micros }) => (day >= first ? sum + micros : sum), 0n));
      };
      return {
        currency: CURRENCY,
        play_money: playMoney,
        ...viewHolding(holding),
        paid_micros: String(await paidOutMicros(tx, userId)),
        earned_today_micros: since(1),
        earned_7d_micros: since(7),
        earned_30d_micros: since(daysShown),
        by_day: byDay.map(({ day, providerId, machine, micros }) => ({
          day,
          provider_id: providerId,
          machine,
          earned_micros: String(micros),
        })),
        hold: {
          window_seconds: settings.holdSeconds,
          first_jobs: settings.firstJobs,
          settled_jobs: holding.settledJobs,
          next_release_at: holding.nextReleaseAt?.toISOString() ?? null,
        },
        obstacle: obstacleOf(deps, holding, account, await hasPayoutUnderWay(tx, userId)),
        account: viewAccount(deps, account),
      };
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
}
