import type { Tx } from '@computefabric/db/client';
import { newBearer } from '@computefabric/protocol/api-key';
import type { UserId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { insertKey } from './api-key.store.ts';
import { toApiKeyView } from './api-key-view.ts';

/** Makes an API key. Its token is in this answer and nowhere else: only a hash of it is kept. */
export async function createApiKey(
  tx: Tx,
  userId: UserId,
  { name, expiresInSeconds }: { name: string; expiresInSeconds: number | null },
) {
  const { token, idSuffix, secretHash } = newBearer('user');
  const key = await insertKey(
    tx,
    { id: `key_${idSuffix}`, userId, kind: 'user', name, secretHash },
    expiresInSeconds,
  );
  invariant(key, 'a fresh key has a fresh id');
  return { ...toApiKeyView(key), token };
}

/** Makes a token with which one machine can join the market for this user, once. */
export async function createJoinToken(tx: Tx, userId: UserId, expiresInSeconds: number) {
  const { token, idSuffix, secretHash } = newBearer('join');
  const id = `key_${idSuffix}` as const;
  const key = await insertKey(
    tx,
    { id, userId, kind: 'join', name: 'Join token', secretHash },
    expiresInSeconds,
  );
  invariant(key?.expiresAt, 'a fresh join token has a fresh id and an end');
  return { token, expires_at: key.expiresAt.toISOString() };
}
