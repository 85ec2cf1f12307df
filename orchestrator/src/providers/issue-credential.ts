import type { Db } from '@computefabric/db/client';
import type { ProviderId } from '@computefabric/protocol/ids';
import { credentialText, signatureSeconds } from '@computefabric/protocol/provider-api/v1/machine-key';
import { AppError } from '@computefabric/runtime/errors';
import { isSignedBy } from '@computefabric/runtime/receipts/signatures';
import { findIdentity, insertCredential } from './machine-credential.store.ts';

/** One signature an hour and machine; a bearer that leaks is worth no more than that. */
export const credentialSeconds = 3_600;
/** Twice the time in which a signature counts, so that its hash is known for as long. */
const othersSeconds = 2 * signatureSeconds;

interface CredentialAsked {
  providerId: ProviderId;
  secretHash: string;
  /** RFC 3339, by the machine's clock. */
  at: string;
  signature: string;
}

/**
 * A credential for a machine that has signed that it wants one. Gives how long it lives, seconds.
 *
 * @throws AppError `auth/invalid`: no such machine, another key, or a hash that was used before. `auth/clock-skew`
 *   with our time: the machine signs again with that one.
 */
export async function issueCredential(db: Db, asked: CredentialAsked): Promise<number> {
  const { providerId, secretHash, at, signature } = asked;
  const identity = await findIdentity(db, providerId, at);
  // What is not signed by the machine learns nothing, our time included.
  if (!identity || !isSignedBy(identity.publicKey, credentialText({ providerId, secretHash, at }), signature))
    throw new AppError('auth/invalid');
  if (identity.skewSeconds > signatureSeconds) {
    throw new AppError('auth/clock-skew', { details: { now: identity.now.toISOString() } });
  }
  const taken = await db.transaction((tx) =>
    insertCredential(tx, { providerId, secretHash }, { livesSeconds: credentialSeconds, othersSeconds }),
  );
  if (!taken) throw new AppError('auth/invalid');
  return credentialSeconds;
}
