import type { Tx } from '@computefabric/db/client';
import { billingAccounts } from '@computefabric/db/schema/billing-accounts';
import type { UserId } from '@computefabric/protocol/ids';
import { eq } from 'drizzle-orm';

/** Under what terms a user spends. Without a row: their balance, and nothing else. */
export async function findSpendingTerms(tx: Tx, userId: UserId) {
  const [row] = await terms(tx, userId);
  return row ?? null;
}

/** The same, locked: whoever changes what a user owes holds this lock. */
export async function lockSpendingTerms(tx: Tx, userId: UserId) {
  const [row] = await terms(tx, userId).for('update');
  return row ?? null;
}

function terms(tx: Tx, userId: UserId) {
  const { mode, frozenBy, creditLimitMicros, cardId } = billingAccounts;
  return tx
    .select({ mode, frozenBy, creditLimitMicros, cardId })
    .from(billingAccounts)
    .where(eq(billingAccounts.userId, userId));
}
