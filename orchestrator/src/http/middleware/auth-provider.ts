import type { Db } from '@computefabric/db/client';
import type { ProviderId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { addLogContext } from '@computefabric/runtime/log';
import { findCredentialHashes } from '../../accounts/api-key.store.ts';
import { Coalescer } from '../../background/coalescer.ts';
import { bearerOf, isSecretOf } from '../bearer.ts';
import type { Authenticators } from '../callers.ts';

/** A machine's own credential. What a suspended machine may still do is the use case's to say. */
export function authProvider(db: Db): Authenticators['provider'] {
  const hashes = new Coalescer((ids: ProviderId[]) => findCredentialHashes(db, ids));
  return async (request) => {
    const bearer = bearerOf(request, 'provider');
    if (!bearer) throw new AppError('auth/invalid');
    const providerId = `prov_${bearer.idSuffix}` as const;
    if (!isSecretOf(bearer, await hashes.call(providerId))) throw new AppError('auth/invalid');
    addLogContext({ provider_id: providerId });
    return { providerId };
  };
}
