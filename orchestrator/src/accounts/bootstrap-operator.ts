import type { Db } from '@computefabric/db/client';
import { hashSecret, parseBearer } from '@computefabric/protocol/api-key';
import { invariant } from '@computefabric/runtime/invariant';
import type { Secret } from '@computefabric/runtime/secret';
import { grantPlayMoney } from '../ledger/grant-play-money.ts';
import { findKeyById, insertKey } from './api-key.store.ts';
import { ensureUser } from './user.store.ts';

/** The account of whoever runs this market on their own machine. */
export const operatorEmail = 'operator@localhost';

/**
 * Gives a market that was started with an operator token its operator: the user, a profile, and that token as
 * an API key. With play money (no payment provider) also something to spend, once. Any number of starts, one
 * after the other or at once, have the effect of one; a token that was revoked stays revoked.
 */
export async function bootstrapOperator(
  db: Db,
  { token, playMoneyMicros }: { token: Secret; playMoneyMicros: bigint | null },
): Promise<void> {
  const bearer = parseBearer(token.reveal());
  invariant(bearer?.kind === 'user', 'the operator token was checked with the settings');
  const id = `key_${bearer.idSuffix}` as const;
  const secretHash = hashSecret(bearer.secret);
  await db.transaction(async (tx) => {
    const userId = await ensureUser(tx, {
      email: operatorEmail,
      role: 'operator',
      displayName: 'Local operator',
    });
    await insertKey(tx, { id, userId, kind: 'user', name: 'Operator', secretHash }, null);
    const key = await findKeyById(tx, id);
    invariant(
      key?.userId === userId && key.secretHash === secretHash,
      'COMPUTEFABRIC_OPERATOR_TOKEN names a key that exists already and is another one. Make a new token.',
    );
    if (playMoneyMicros !== null) await grantPlayMoney(tx, userId, playMoneyMicros);
  });
}
