'use server';

import { revalidatePath } from 'next/cache';
import { z } from 'zod';
import { refundAmount } from '@/lib/amount.ts';
import { formatMoney } from '@/lib/format-money.ts';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

export type RefundResult = { kind: 'done'; message: string } | { kind: 'refused'; message: string };

const wish = z.object({
  /** Empty is all that can go back. */
  amount: z.string().max(40),
  idempotencyKey: z.string().min(16).max(128),
});

/** Gives unspent money of the viewer back to the cards that it came from. */
export async function refundBalance(input: z.input<typeof wish>): Promise<RefundResult> {
  const session = await requireSession();
  const { amount, idempotencyKey } = wish.parse(input);
  const asked = amount.trim() === '' ? null : refundAmount(amount);
  if (asked && 'error' in asked) return { kind: 'refused', message: asked.error };
  try {
    const { items } = await orchestratorAs(session).billing.refund(asked?.micros ?? null, { idempotencyKey });
    revalidatePath('/billing');
    const total = items.reduce((sum, { amount_micros }) => sum + BigInt(amount_micros), 0n);
    return { kind: 'done', message: `${formatMoney(total)} is on its way to your card.` };
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
}
