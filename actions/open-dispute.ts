'use server';

import { disputeReason } from '@computefabric/protocol/dispute';
import { jobId } from '@computefabric/protocol/ids';
import { revalidatePath } from 'next/cache';
import { z } from 'zod';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

export type DisputeResult = { kind: 'done' } | { kind: 'refused'; message: string };

const wish = z.strictObject({
  job: jobId,
  reason: disputeReason,
  message: z.string().trim().max(4_000),
  /** Made by the form: pressing the button twice gives one dispute. */
  idempotencyKey: z.string().min(16).max(128),
});

/** Contests one of the viewer's ended jobs. Clear cases are decided in the same moment. */
export async function openDispute(input: {
  job: string;
  reason: string;
  message: string;
  idempotencyKey: string;
}): Promise<DisputeResult> {
  const session = await requireSession();
  const parsed = wish.safeParse(input);
  if (!parsed.success) return { kind: 'refused', message: 'There is no such job in your account.' };
  const { job, reason, message, idempotencyKey } = parsed.data;
  if (message === '') return { kind: 'refused', message: 'Say in a sentence what was wrong.' };
  try {
    await orchestratorAs(session).disputes.open(job, { reason, message }, { idempotencyKey });
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
  revalidatePath(`/jobs/${job}`);
  return { kind: 'done' };
}
