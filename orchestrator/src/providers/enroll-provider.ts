import type { Db } from '@computefabric/db/client';
import { type ApiKeyId, newId, type UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { spendJoinToken } from './join-token.store.ts';
import { findProviderBySecret, insertProvider } from './provider.store.ts';

interface Enrolment {
  joinKeyId: ApiKeyId;
  ownerId: UserId;
  name: string;
  agentVersion: string;
  /** SHA-256 of the secret that the machine chose, hex. */
  secretHash: string;
}

/**
 * Spends a join token on a new machine of its owner. A token that was spent is refused, except to the machine
 * that spent it: that one has not heard the answer, and gets it again.
 */
export async function enrollProvider(db: Db, { joinKeyId, ownerId, ...machine }: Enrolment) {
  return await db.transaction(async (tx) => {
    if (await spendJoinToken(tx, joinKeyId)) {
      const id = newId('provider');
      await insertProvider(tx, {
        id,
        ownerId,
        name: machine.name,
        credentialHash: machine.secretHash,
        agentVersion: machine.agentVersion,
      });
      return { id, name: machine.name };
    }
    const enrolled = await findProviderBySecret(tx, ownerId, machine.secretHash);
    if (!enrolled) throw new AppError('join-token/invalid');
    return enrolled;
  });
}
