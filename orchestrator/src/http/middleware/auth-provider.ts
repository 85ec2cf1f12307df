import type { Db } from '@computefabric/db/client';
import type { ProviderId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { addLogContext } from '@computefabric/runtime/log';
import { findCredentialHashes } from '../../accounts/api-key.store.ts';
import { Coalescer } from '../../background/coalescer.ts';
import { bearerOf, isSecretOf } from '../bearer.ts';
import type { Authenticators } from '../callers.ts';

/** Machines whose hash is remembered, some 200 bytes each; the one asked for longest ago goes first. */
const mostRemembered = 50_000;

/**
 * A machine's own credential. What a suspended machine may still do is the use case's to say.
 *
 * The hash of a machine's secret is written when it joins and never changes, so it is remembered; a secret that
 * is not that of the hash is asked of the database each time.
 */
export function authProvider(db: Db): Authenticators['provider'] {
  const hashes = new Coalescer((ids: ProviderId[]) => findCredentialHashes(db, ids));
  const remembered = new Map<ProviderId, string>();
  return async (request) => {
    const bearer = bearerOf(request, 'provider');
    if (!bearer) throw new AppError('auth/invalid');
    const providerId = `prov_${bearer.idSuffix}` as const;
    const known = remembered.get(providerId);
    if (known === undefined || !isSecretOf(bearer, known)) {
      const hash = await hashes.call(providerId);
      if (hash === undefined || !isSecretOf(bearer, hash)) throw new AppError('auth/invalid');
      const [oldest] = remembered.keys();
      if (oldest !== undefined && remembered.size >= mostRemembered) remembered.delete(oldest);
      remembered.set(providerId, hash);
    }
    addLogContext({ provider_id: providerId });
    return { providerId };
  };
}
