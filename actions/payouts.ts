'use server';

import { payoutSchedule } from '@computefabric/protocol/payout-state';
import { revalidatePath } from 'next/cache';
import { z } from 'zod';
import { refundAmount } from '@/lib/amount.ts';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';
import type { HostedPage } from './top-up.ts';

export type PayoutResult = { kind: 'done' } | { kind: 'refused'; message: string };

const country = z.string().regex(/^[A-Z]{2}$/);

/** Opens the page on which the viewer says who they are and where their money goes. None of it comes to us. */
export async function setUpPayouts(typed: string): Promise<HostedPage> {
  const session = await requireSession();
  const parsed = country.safeParse(typed.trim().toUpperCase().slice(0, 3));
  if (!parsed.success) return { kind: 'refused', message: 'Write your country in two letters, such as US.' };
  try {
    return { kind: 'page', url: (await orchestratorAs(session).earnings.setUp(parsed.data)).url };
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
}

const terms = z.strictObject({ schedule: payoutSchedule, minimum: z.string().max(40) });

/** Changes when and from which amount on the viewer's earnings are paid out by themselves. */
export async function changePayouts(input: { schedule: string; minimum: string }): Promise<PayoutResult> {
  const session = await requireSession();
  const parsed = terms.safeParse(input);
  if (!parsed.success) return { kind: 'refused', message: 'There is no such schedule.' };
  const minimum = refundAmount(parsed.data.minimum);
  if ('error' in minimum) return { kind: 'refused', message: minimum.error };
  try {
    await orchestratorAs(session).earnings.changeAccount({
      schedule: parsed.data.schedule,
      minimum_micros: minimum.micros,
    });
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
  revalidatePath('/earnings');
  return { kind: 'done' };
}

const idempotencyKey = z.string().min(16).max(128);

/** Has all paid out that may be. */
export async function requestPayout(key: string): Promise<PayoutResult> {
  const session = await requireSession();
  try {
    await orchestratorAs(session).earnings.request(null, { idempotencyKey: idempotencyKey.parse(key) });
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
  revalidatePath('/earnings');
  return { kind: 'done' };
}
