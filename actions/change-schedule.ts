'use server';

import { scheduleId } from '@computefabric/protocol/ids';
import { scheduleState } from '@computefabric/protocol/schedule-state';
import { revalidatePath } from 'next/cache';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

export type ScheduleResult = { kind: 'changed' } | { kind: 'refused'; message: string };

/** Pauses or resumes one of the viewer's schedules. */
export async function changeSchedule(id: string, state: string): Promise<ScheduleResult> {
  const session = await requireSession();
  const schedule = scheduleId.safeParse(id);
  const wanted = scheduleState.safeParse(state);
  if (!schedule.success || !wanted.success)
    return { kind: 'refused', message: 'There is no such schedule in your account.' };
  try {
    await orchestratorAs(session).schedules.change(schedule.data, wanted.data);
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
  revalidatePath('/schedules');
  return { kind: 'changed' };
}
