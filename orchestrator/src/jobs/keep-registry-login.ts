import type { Tx } from '@computefabric/db/client';
import type { JobId } from '@computefabric/protocol/ids';
import {
  decodeRegistryLogin,
  type RegistryLogin,
  registryLogin,
} from '@computefabric/protocol/registry-login';
import { AppError } from '@computefabric/runtime/errors';
import type { Secret } from '@computefabric/runtime/secret';
import { seal, unseal } from '../http/sealed-text.ts';
import { insertRegistryLogin } from './registry-login.store.ts';

/**
 * Keeps what a new job's machines need to pull its image, sealed with the operator's key.
 *
 * @throws AppError `request/invalid` for a header that is none, or on a market without a key
 */
export async function keepRegistryLogin(
  tx: Tx,
  key: Secret | null,
  jobId: JobId,
  header: string,
): Promise<void> {
  if (key === null)
    throw new AppError('request/invalid', {
      message: 'This market takes no registry logins: its operator has set no SECRETS_KEY.',
    });
  const login = decodeRegistryLogin(header);
  if (!login) throw new AppError('request/invalid', { message: 'The registry login is not readable.' });
  await insertRegistryLogin(tx, jobId, seal(JSON.stringify(login), sealedFor(key, jobId)));
}

/** The login again; null when it was sealed with another key. */
export function openRegistryLogin(key: Secret | null, jobId: JobId, sealed: string): RegistryLogin | null {
  const text = key && unseal(sealed, sealedFor(key, jobId));
  return text ? registryLogin.parse(JSON.parse(text)) : null;
}

/** A row of one job opens nothing in the place of another's. */
function sealedFor(key: Secret, jobId: JobId): string {
  return `${key.reveal()} registry login of ${jobId}`;
}
