'use server';

import { groupId } from '@computefabric/protocol/ids';
import { revalidatePath } from 'next/cache';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';
import type { CancelResult } from './cancel-job.ts';

/** Asks all members of one of the viewer's groups to stop. One that has ended meanwhile counts as done. */
export async function cancelGroup(id: string): Promise<CancelResult> {
  const session = await requireSession();
  const group = groupId.safeParse(id);
  if (!group.success) return { kind: 'refused', message: 'There is no such group in your account.' };
  try {
    await orchestratorAs(session).groups.cancel(group.data);
  } catch (thrown) {
    const failure = failureOf(thrown);
    if (failure.code !== 'group/already-final') return { kind: 'refused', message: failure.message };
  }
  revalidatePath(`/groups/${group.data}`);
  return { kind: 'asked' };
}
