'use server';

import { timestamp } from '@computefabric/protocol/common';
import { providerId } from '@computefabric/protocol/ids';
import { revalidatePath } from 'next/cache';
import { z } from 'zod';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

/** What an owner may want of a machine from its card; times in seconds. */
const wish = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('pause'), forSeconds: z.number().int().min(1).nullable() }),
  z.strictObject({ kind: z.literal('drain'), withinSeconds: z.number().int().min(0) }),
  z.strictObject({ kind: z.literal('resume') }),
  z.strictObject({ kind: z.literal('away'), from: timestamp, until: timestamp }),
  z.strictObject({ kind: z.literal('back') }),
]);
export type MachineWish = z.infer<typeof wish>;

export type WishResult = { kind: 'done' } | { kind: 'refused'; message: string };

/** Says what the viewer wants of one of their machines. The latest wish counts. */
export async function changeAvailability(id: string, wanted: MachineWish): Promise<WishResult> {
  const session = await requireSession();
  const machine = providerId.safeParse(id);
  const parsed = wish.safeParse(wanted);
  if (!machine.success || !parsed.success) return { kind: 'refused', message: 'There is no such machine.' };
  const { machines } = orchestratorAs(session);
  try {
    switch (parsed.data.kind) {
      case 'pause':
        await machines.pause(machine.data, { for_seconds: parsed.data.forSeconds });
        break;
      case 'drain':
        await machines.drain(machine.data, { within_seconds: parsed.data.withinSeconds });
        break;
      case 'resume':
        await machines.resume(machine.data);
        break;
      case 'away':
        await machines.planMaintenance(machine.data, { from: parsed.data.from, until: parsed.data.until });
        break;
      case 'back':
        await machines.cancelMaintenance(machine.data);
        break;
    }
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
  revalidatePath('/gpu-owners');
  return { kind: 'done' };
}
