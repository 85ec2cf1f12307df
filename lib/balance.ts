import 'server-only';

import { toError } from '@computefabric/runtime/errors';
import { cache } from 'react';
import type { BalanceView } from '@/types/market-view.ts';
import { getDb } from './db.ts';
import { log } from './log.ts';
import { quickOrchestratorAs } from './orchestrator.ts';
import { burnPerHour } from './queries/get-overview.ts';
import { getSession } from './session.ts';

/**
 * The viewer's balance, once per request; null when the orchestrator does not answer, since no page depends
 * on it. It comes from there and not from the database because only the orchestrator knows whether the money
 * is real.
 */
export const getBalance = cache(async (): Promise<BalanceView | null> => {
  const session = await getSession();
  if (!session) return null;
  try {
    const [balance, burnPerHourMicros] = await Promise.all([
      quickOrchestratorAs(session).account.balance(),
      burnPerHour(getDb(), session.viewer),
    ]);
    return {
      playMoney: balance.play_money,
      availableMicros: BigInt(balance.available_micros),
      heldMicros: BigInt(balance.held_micros),
      earnedMicros: BigInt(balance.earned_micros),
      burnPerHourMicros,
    };
  } catch (thrown) {
    log.warn({ err: toError(thrown) }, 'balance not available');
    return null;
  }
});
