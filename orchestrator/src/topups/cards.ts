import type { UserId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { notify } from '../background/signals.ts';
import type { Card } from '../stripe/stripe-gateway.ts';
import { changeBillingAccount, findBillingAccount, lockBillingAccount } from './billing-account.store.ts';
import { customerOf } from './customer.ts';
import type { TopUpDeps } from './top-up-deps.ts';
import { reopenRefused } from './top-up.store.ts';

/** A user's saved cards, newest first; the first one is charged when nobody is there. */
export async function listCards({ db, stripe }: TopUpDeps, userId: UserId): Promise<Card[]> {
  const customerId = (await findBillingAccount(db, userId))?.customerId;
  return customerId ? await stripe.listCards(customerId) : [];
}

/** Opens a page on which a card is saved; its address. A repeat of the same cause opens the same page. */
export async function openCardPage(deps: TopUpDeps, userId: UserId, cause: string): Promise<string> {
  const customerId = await customerOf(deps, userId);
  const { returnUrl } = deps.settings;
  const { url } = await deps.stripe.openCardSetup({ cause: `${userId}:${cause}`, customerId, returnUrl });
  if (url === null) {
    throw new AppError('request/idempotency-key-reused', {
      message: 'The page of this key was used already.',
    });
  }
  return url;
}

/** Removes a card of the user. @throws AppError `billing/card-not-found` */
export async function removeCard(deps: TopUpDeps, userId: UserId, cardId: string): Promise<void> {
  const cards = await listCards(deps, userId);
  if (!cards.some(({ id }) => id === cardId)) throw new AppError('billing/card-not-found');
  await deps.stripe.removeCard(cardId);
  await syncCards(deps, userId);
}

/**
 * Makes our note of a user's card agree with Stripe: the newest one counts. Where each job is charged, a card
 * means credit, and a new one is tried for what another one was refused for.
 */
export async function syncCards(deps: TopUpDeps, userId: UserId): Promise<void> {
  const { db, settings } = deps;
  const [card = null] = await listCards(deps, userId);
  await db.transaction(async (tx) => {
    const before = await lockBillingAccount(tx, userId);
    await changeBillingAccount(tx, userId, {
      mode: settings.mode,
      cardId: card?.id ?? null,
      cardBrand: card?.brand ?? null,
      cardLast4: card?.last4 ?? null,
      creditLimitMicros: settings.mode === 'per_job' && card ? settings.creditLimitMicros : 0n,
      // Another card: what was wrong with the one before is over.
      ...(card && card.id !== before.cardId
        ? { autoFailures: 0, autoNotBefore: null, autoPausedBecause: null }
        : {}),
    });
    if (card && card.id !== before.cardId) await reopenRefused(tx, userId, card.id);
    await notify(tx, 'cf_payments', userId);
  });
}

/** Tries again what the card was refused for. @throws AppError `billing/card-required` */
export async function payOwed({ db }: TopUpDeps, userId: UserId): Promise<void> {
  await db.transaction(async (tx) => {
    const { cardId } = await lockBillingAccount(tx, userId);
    if (cardId === null) throw new AppError('billing/card-required');
    await reopenRefused(tx, userId, cardId);
    await notify(tx, 'cf_payments', userId);
  });
}
