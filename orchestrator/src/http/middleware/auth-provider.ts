import { performance } from 'node:perf_hooks';
import type { Db } from '@computefabric/db/client';
import type { ProviderId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { addLogContext } from '@computefabric/runtime/log';
import { Coalescer } from '../../background/coalescer.ts';
import { findMachineSecrets } from '../../providers/machine-credential.store.ts';
import { bearerOf, isSecretOf } from '../bearer.ts';
import type { Authenticators } from '../callers.ts';

/** Machines whose hash is remembered, some 200 bytes each; the one asked for longest ago goes first. */
const mostRemembered = 50_000;
/** A credential that was taken back works at most this long. */
const longestMemoryMs = 60_000;

interface Remembered {
  hash: string;
  /** By the clock that only goes forward. */
  untilMs: number;
}

/**
 * A machine's own credential. What a suspended machine may still do is the use case's to say.
 *
 * Ten thousand machines call all the time, so a secret that was right is remembered for a while, never beyond its
 * end; one that is not remembered is asked of the database.
 */
export function authProvider(db: Db): Authenticators['provider'] {
  const secrets = new Coalescer((ids: ProviderId[]) => findMachineSecrets(db, ids));
  const remembered = new Map<ProviderId, Remembered>();
  return async (request) => {
    const bearer = bearerOf(request, 'provider');
    if (!bearer) throw new AppError('auth/invalid');
    const providerId = `prov_${bearer.idSuffix}` as const;
    const last = remembered.get(providerId);
    if (!last || last.untilMs < performance.now() || !isSecretOf(bearer, last.hash)) {
      const known = (await secrets.call(providerId)).find(({ hash }) => isSecretOf(bearer, hash));
      if (!known) throw new AppError('auth/invalid');
      const [oldest] = remembered.keys();
      if (oldest !== undefined && remembered.size >= mostRemembered) remembered.delete(oldest);
      remembered.set(providerId, {
        hash: known.hash,
        untilMs: performance.now() + Math.min(known.livesMs ?? longestMemoryMs, longestMemoryMs),
      });
    }
    addLogContext({ provider_id: providerId });
    return { providerId };
  };
}
