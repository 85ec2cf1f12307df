import { createHash } from 'node:crypto';
import type { Db, Tx } from '@computefabric/db/client';
import type { Contract } from '@computefabric/protocol/contract';
import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { z } from 'zod';
import { findFirstAnswer, keepFirstAnswer, lockIdempotencyKey } from './idempotency.store.ts';
import { seal, unseal } from './sealed-text.ts';

interface IdempotentCall<Reply extends z.ZodType> {
  userId: UserId;
  /** The request's Idempotency-Key. */
  key: string;
  contract: Contract<z.ZodType, z.ZodType, z.ZodType, Reply>;
  /** The parsed request: the same key with another one is refused. */
  request: unknown;
  /** Where the reply holds a secret: that of the caller's key, under which the reply is kept sealed. */
  sealWith?: string;
}

/**
 * Runs `work` once for an Idempotency-Key and gives its first reply to every repeat, however many arrive at
 * the same time. The key is kept in the transaction of the effect: both are there or neither. A call that was
 * refused leaves nothing behind and may be sent again.
 *
 * @throws AppError `request/idempotency-key-reused` when the key was used with another request.
 */
export async function withIdempotency<Reply extends z.ZodType>(
  db: Db,
  call: IdempotentCall<Reply>,
  work: (tx: Tx) => Promise<z.output<Reply>>,
): Promise<z.output<Reply>> {
  const { reply: schema } = call.contract;
  invariant(schema, `${call.contract.id} is idempotent and so has a reply`);
  const requestHash = hashOf(call.contract.id, call.request);
  const kept = await db.transaction(async (tx) => {
    await lockIdempotencyKey(tx, call.userId, call.key);
    const first = await findFirstAnswer(tx, call.userId, call.key);
    if (first) {
      if (first.requestHash !== requestHash) throw new AppError('request/idempotency-key-reused');
      return first.reply;
    }
    const reply = await work(tx);
    return await keepFirstAnswer(tx, {
      userId: call.userId,
      key: call.key,
      requestHash,
      status: call.contract.status,
      reply: call.sealWith === undefined ? reply : { sealed: seal(JSON.stringify(reply), call.sealWith) },
    });
  });
  // A reply as it was given then, also when the contract has grown since: parsed, not trusted.
  return schema.parse(call.sealWith === undefined ? kept : open(kept, call.sealWith));
}

const sealedReply = z.object({ sealed: z.string() });

function open(kept: unknown, secret: string): unknown {
  const text = unseal(sealedReply.parse(kept).sealed, secret);
  if (text !== null) return JSON.parse(text);
  throw new AppError('request/idempotency-key-reused', {
    message: 'This Idempotency-Key was used with another API key; only that one may see the answer again.',
  });
}

/** Two requests are the same when their parsed values are, whatever the order of their fields. */
function hashOf(contractId: string, request: unknown): string {
  const text = JSON.stringify(request, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return createHash('sha256').update(`${contractId}\n${text}`).digest('hex');
}
