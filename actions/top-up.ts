'use server';

import { z } from 'zod';
import { chargeAmount } from '@/lib/amount.ts';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

/** Where the browser goes next: a page of the payment provider; or why it goes nowhere. */
export type HostedPage = { kind: 'page'; url: string } | { kind: 'refused'; message: string };

const wish = z.object({
  amount: z.string().max(40),
  saveCard: z.boolean(),
  /** Made by the form: pressing the button twice gives one top-up. */
  idempotencyKey: z.string().min(16).max(128),
});

/** Begins a top-up of the viewer's balance. Nothing is charged before they pay on that page. */
export async function startTopUp(input: z.input<typeof wish>): Promise<HostedPage> {
  const session = await requireSession();
  const { amount, saveCard, idempotencyKey } = wish.parse(input);
  const asked = chargeAmount(amount);
  if ('error' in asked) return { kind: 'refused', message: asked.error };
  try {
    const { top_up } = await orchestratorAs(session).billing.createTopUp(
      { amount_micros: asked.micros, save_card: saveCard },
      { idempotencyKey },
    );
    if (top_up.url === null) return { kind: 'refused', message: 'This top-up is not open any more.' };
    return { kind: 'page', url: top_up.url };
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
}
