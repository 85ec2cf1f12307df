import type { ProviderId } from '../../ids.ts';
import { canonicalJson } from '../../receipts/canonical-json.ts';

/*
 * What a machine signs with its key to say who it is. Each text names what it is for, so that no signature can be
 * used for anything else.
 */

/** That this key joins with this token. `token` is the part of the join token that is no secret. */
export function enrolmentText({ token, publicKey }: { token: string; publicKey: string }): string {
  return canonicalJson({ type: 'computefabric-enrolment/1', token, public_key: publicKey });
}

interface CredentialAsked {
  providerId: ProviderId;
  /** SHA-256 of the secret of the credential, hex. */
  secretHash: string;
  /** RFC 3339. */
  at: string;
}

/** That this machine wants a credential with this secret now. */
export function credentialText({ providerId, secretHash, at }: CredentialAsked): string {
  return canonicalJson({
    type: 'computefabric-credential/1',
    machine: providerId,
    secret_hash: secretHash,
    at,
  });
}

/** How far the time of a signature may be from the market's clock. */
export const signatureSeconds = 60;
