'use server';

import { revalidatePath } from 'next/cache';
import { z } from 'zod';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';
import type { HostedPage } from './top-up.ts';

const cardId = z.string().regex(/^\w{1,100}$/);

export type CardResult = { kind: 'done' } | { kind: 'refused'; message: string };

/** Opens the page of the payment provider on which a card is saved. No number of a card comes to us. */
export async function addCard(): Promise<HostedPage> {
  const session = await requireSession();
  try {
    const { url } = await orchestratorAs(session).billing.addCard();
    return { kind: 'page', url };
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
}

/** Forgets one of the viewer's cards. */
export async function removeCard(id: string): Promise<CardResult> {
  const session = await requireSession();
  const card = cardId.safeParse(id);
  if (!card.success) return { kind: 'refused', message: 'There is no such card.' };
  try {
    await orchestratorAs(session).billing.removeCard(card.data);
  } catch (thrown) {
    const failure = failureOf(thrown);
    if (failure.code !== 'billing/card-not-found') return { kind: 'refused', message: failure.message };
  }
  revalidatePath('/billing');
  return { kind: 'done' };
}

/** Tries again what the viewer's card was refused for. */
export async function payOwed(): Promise<CardResult> {
  const session = await requireSession();
  try {
    await orchestratorAs(session).billing.pay();
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
  revalidatePath('/billing');
  return { kind: 'done' };
}
