import type { Db } from '@computefabric/db/client';
import { AppError } from '@computefabric/runtime/errors';
import { addLogContext } from '@computefabric/runtime/log';
import { findKey, touchKey } from '../../accounts/api-key.store.ts';
import { bearerOf, isSecretOf } from '../bearer.ts';
import type { Authenticators } from '../callers.ts';

/** A person's API key. Looked up for every request and never remembered: a revoked key is dead at once. */
export function authUser(db: Db): Authenticators['user'] {
  return async (request) => {
    const bearer = bearerOf(request, 'user');
    if (!bearer) throw new AppError('auth/invalid');
    const key = await findKey(db, `key_${bearer.idSuffix}`, 'user');
    if (!isSecretOf(bearer, key?.secretHash) || !key?.alive) throw new AppError('auth/invalid');
    if (key.useUnrecorded) await touchKey(db, key.id);
    addLogContext({ user_id: key.userId });
    return { userId: key.userId, keyId: key.id, role: key.role };
  };
}
