import type { Db } from '@computefabric/db/client';
import { type ApiKeyId, newId, type UserId } from '@computefabric/protocol/ids';
import { enrolmentText } from '@computefabric/protocol/provider-api/v1/machine-key';
import { AppError } from '@computefabric/runtime/errors';
import { isSignedBy } from '@computefabric/runtime/receipts/signatures';
import { spendJoinToken } from './join-token.store.ts';
import { findProviderByProof, insertProvider, type MachineProof } from './provider.store.ts';

interface Enrolment {
  joinKeyId: ApiKeyId;
  ownerId: UserId;
  name: string;
  agentVersion: string;
  proof: MachineProof;
}

/**
 * Spends a join token on a new machine of its owner. A token that was spent is refused, except to the machine
 * that has joined already: that one has not heard the answer, and gets it again. Whoever joins again with the key
 * of a machine of theirs keeps that machine.
 */
export async function enrollProvider(db: Db, { joinKeyId, ownerId, proof, ...machine }: Enrolment) {
  return await db.transaction(async (tx) => {
    const isFresh = await spendJoinToken(tx, joinKeyId);
    const known = await findProviderByProof(tx, ownerId, proof);
    if (known) return known;
    if (!isFresh) throw new AppError('join-token/invalid');
    const id = newId('provider');
    if (!(await insertProvider(tx, { ...machine, id, ownerId, proof }))) {
      throw new AppError('provider/key-taken', {
        message: 'The key of this machine belongs to somebody else. Remove it and join with a new one.',
      });
    }
    return { id, name: machine.name };
  });
}

interface EnrolBody {
  secret_hash?: string | undefined;
  public_key?: string | undefined;
  signature?: string | undefined;
}

/**
 * What the machine shows when it joins.
 *
 * @throws AppError when it has not signed with the key that it names
 */
export function proofOf(joinKeyId: ApiKeyId, body: EnrolBody): MachineProof {
  if (body.secret_hash !== undefined) return { credentialHash: body.secret_hash };
  const { public_key: identityKey = '', signature = '' } = body;
  const text = enrolmentText({ token: joinKeyId.slice('key_'.length), publicKey: identityKey });
  if (!isSignedBy(identityKey, text, signature)) {
    throw new AppError('join-token/invalid', {
      message: 'The machine has not signed with the key that it names.',
    });
  }
  return { identityKey };
}
