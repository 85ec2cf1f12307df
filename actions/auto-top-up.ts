'use server';

import { revalidatePath } from 'next/cache';
import { z } from 'zod';
import { chargeAmount } from '@/lib/amount.ts';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

export type AutoTopUpField = 'threshold' | 'amount' | 'ceiling';

export type AutoTopUpResult =
  | { kind: 'done' }
  | { kind: 'refused'; errors: Partial<Record<AutoTopUpField | 'form', string>> };

const text = z.string().max(40);
/** Amounts as they were typed; null switches it off. */
const wish = z.strictObject({ threshold: text, amount: text, ceiling: text }).nullable();

/** Lets the viewer's card be charged by itself below a balance, or no longer. */
export async function setAutoTopUp(input: z.input<typeof wish>): Promise<AutoTopUpResult> {
  const session = await requireSession();
  const typed = wish.parse(input);
  const { billing } = orchestratorAs(session);
  try {
    if (typed === null) {
      await billing.setAutoTopUp(null);
    } else {
      const threshold = chargeAmount(typed.threshold);
      const amount = chargeAmount(typed.amount);
      const ceiling = chargeAmount(typed.ceiling);
      if ('error' in threshold || 'error' in amount || 'error' in ceiling) {
        return {
          kind: 'refused',
          errors: {
            ...('error' in threshold && { threshold: threshold.error }),
            ...('error' in amount && { amount: amount.error }),
            ...('error' in ceiling && { ceiling: ceiling.error }),
          },
        };
      }
      if (BigInt(ceiling.micros) < BigInt(amount.micros)) {
        return { kind: 'refused', errors: { ceiling: 'Must be at least what is charged at a time.' } };
      }
      await billing.setAutoTopUp({
        threshold_micros: threshold.micros,
        amount_micros: amount.micros,
        monthly_ceiling_micros: ceiling.micros,
      });
    }
  } catch (thrown) {
    return { kind: 'refused', errors: { form: failureOf(thrown).message } };
  }
  revalidatePath('/billing');
  return { kind: 'done' };
}
