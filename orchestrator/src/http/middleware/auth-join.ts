import type { Db } from '@computefabric/db/client';
import { AppError } from '@computefabric/runtime/errors';
import { findKey } from '../../accounts/api-key.store.ts';
import { bearerOf, isSecretOf } from '../bearer.ts';
import type { Authenticators } from '../callers.ts';

/**
 * A join token that is good now, or that was spent: the machine that spent it may not have heard the answer and
 * asks again. Enrolling spends it by a guarded update and knows that machine by its secret's hash.
 */
export function authJoin(db: Db): Authenticators['join'] {
  return async (request) => {
    const bearer = bearerOf(request, 'join');
    if (!bearer) throw new AppError('join-token/invalid');
    const key = await findKey(db, `key_${bearer.idSuffix}`, 'join');
    if (!isSecretOf(bearer, key?.secretHash) || !(key?.alive || key?.spent))
      throw new AppError('join-token/invalid');
    return { keyId: key.id, ownerId: key.userId };
  };
}
