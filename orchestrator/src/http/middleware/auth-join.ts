import type { Db } from '@computefabric/db/client';
import { AppError } from '@computefabric/runtime/errors';
import { findKey } from '../../accounts/api-key.store.ts';
import { bearerOf, isSecretOf } from '../bearer.ts';
import type { Authenticators } from '../callers.ts';

/** A join token that is good now. It is spent later, by a guarded update where the machine is enrolled. */
export function authJoin(db: Db): Authenticators['join'] {
  return async (request) => {
    const bearer = bearerOf(request, 'join');
    if (!bearer) throw new AppError('join-token/invalid');
    const key = await findKey(db, `key_${bearer.idSuffix}`, 'join');
    if (!isSecretOf(bearer, key?.secretHash) || !key?.alive) throw new AppError('join-token/invalid');
    return { keyId: key.id, ownerId: key.userId };
  };
}
