import type { Db } from '@computefabric/db/client';
import { AppError } from '@computefabric/runtime/errors';
import { addLogContext } from '@computefabric/runtime/log';
import { findCredentialHash } from '../../accounts/api-key.store.ts';
import { bearerOf, isSecretOf } from '../bearer.ts';
import type { Authenticators } from '../callers.ts';

/** A machine's own credential. What a suspended machine may still do is the use case's to say. */
export function authProvider(db: Db): Authenticators['provider'] {
  return async (request) => {
    const bearer = bearerOf(request, 'provider');
    if (!bearer) throw new AppError('auth/invalid');
    const providerId = `prov_${bearer.idSuffix}` as const;
    if (!isSecretOf(bearer, await findCredentialHash(db, providerId))) throw new AppError('auth/invalid');
    addLogContext({ provider_id: providerId });
    return { providerId };
  };
}
