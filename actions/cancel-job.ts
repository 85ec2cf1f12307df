'use server';

import { jobId } from '@computefabric/protocol/ids';
import { revalidatePath } from 'next/cache';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

export type CancelResult = { kind: 'asked' } | { kind: 'refused'; message: string };

/** Asks one of the viewer's jobs to stop. A job that has ended meanwhile counts as done, not as a mistake. */
export async function cancelJob(id: string): Promise<CancelResult> {
  const session = await requireSession();
  const job = jobId.safeParse(id);
  if (!job.success) return { kind: 'refused', message: 'There is no such job in your account.' };
  try {
    await orchestratorAs(session).jobs.cancel(job.data);
  } catch (thrown) {
    const failure = failureOf(thrown);
    if (failure.code !== 'job/already-final') return { kind: 'refused', message: failure.message };
  }
  revalidatePath(`/jobs/${job.data}`);
  return { kind: 'asked' };
}
