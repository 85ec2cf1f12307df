import type { Db } from '@computefabric/db/client';
import { newBearer } from '@computefabric/protocol/api-key';
import { type ApiKeyId, newId, type ProviderId, type UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { spendJoinToken } from './join-token.store.ts';
import { insertProvider } from './provider.store.ts';

interface Enrolment {
  joinKeyId: ApiKeyId;
  ownerId: UserId;
  name: string;
  agentVersion: string;
}

/**
 * Spends a join token and gives the machine its own credential, which is shown this once. A token that was
 * spent meanwhile, by a copy of the same machine or a thief, is refused.
 */
export async function enrollProvider(
  db: Db,
  { joinKeyId, ownerId, name, agentVersion }: Enrolment,
): Promise<{ providerId: ProviderId; credential: string }> {
  const providerId = newId('provider');
  const bearer = newBearer('provider', providerId.slice('prov_'.length));
  await db.transaction(async (tx) => {
    if (!(await spendJoinToken(tx, joinKeyId))) throw new AppError('join-token/invalid');
    await insertProvider(tx, {
      id: providerId,
      ownerId,
      name,
      credentialHash: bearer.secretHash,
      agentVersion,
    });
  });
  return { providerId, credential: bearer.token };
}
