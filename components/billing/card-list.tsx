'use client';

import { CreditCard, Plus, Trash2 } from 'lucide-react';
import { useTransition } from 'react';
import { addCard, removeCard } from '@/actions/cards.ts';
import { openPage } from '@/components/billing/open-page.ts';
import { FormDialog } from '@/components/shell/form-dialog.tsx';
import { Badge } from '@/components/ui/badge.tsx';
import { Button } from '@/components/ui/button.tsx';
import { showError } from '@/components/ui/show-error.ts';
import type { CardItem } from '@/types/billing-view.ts';

interface CardListProps {
  cards: CardItem[];
  /** False while the payment provider does not answer. */
  known: boolean;
}

/** Saved cards, which one is charged when nobody is there, and how to add or remove one. */
export function CardList({ cards, known }: CardListProps) {
  const [pending, startTransition] = useTransition();
  return (
    <div className="flex flex-col gap-4">
      {known ? null : (
        <p className="text-sm text-muted-foreground">
          The payment provider does not answer at the moment, so your cards cannot be shown.
        </p>
      )}
      {known && cards.length === 0 ? (
        <p className="text-sm text-muted-foreground">
          No card is kept. Add one for automatic top-ups, or pay each top-up on its own page.
        </p>
      ) : null}
      {cards.length > 0 ? (
        <ul className="divide-y rounded-md border">
          {cards.map((card) => (
            <li key={card.id} className="flex items-center gap-3 px-3 py-2.5 text-sm">
              <CreditCard aria-hidden className="size-4 shrink-0 text-muted-foreground" />
              <span className="min-w-0 flex-1">
                <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
                  <span className="font-medium capitalize">{card.name}</span>
                  {card.isDefault ? <Badge tone="outline">charged by itself</Badge> : null}
                </span>
                <span className="block text-xs text-muted-foreground">expires {card.expires}</span>
              </span>
              <RemoveCard card={card} />
            </li>
          ))}
        </ul>
      ) : null}
      <div>
        <Button
          variant="outline"
          disabled={pending}
          onClick={() => startTransition(async () => void (await openPage(await addCard())))}
        >
          <Plus aria-hidden /> {pending ? 'Opening…' : 'Add a card'}
        </Button>
        {cards.length > 1 ? (
          <p className="mt-2 text-[0.8125rem] text-muted-foreground">
            The card that was added last is the one that is charged by itself.
          </p>
        ) : null}
      </div>
    </div>
  );
}

function RemoveCard({ card }: { card: CardItem }) {
  return (
    <FormDialog
      trigger={
        <Button variant="ghost" size="icon-sm" aria-label={`Remove ${card.name}`}>
          <Trash2 aria-hidden />
        </Button>
      }
      title={`Remove ${card.name}?`}
      description="It is forgotten here and at the payment provider. Payments that were made with it stay as they are."
      submitLabel="Remove card"
      pendingLabel="Removing…"
      keepLabel="Keep it"
      submit={async () => {
        const result = await removeCard(card.id);
        if (result.kind === 'refused') await showError(result.message);
        return result.kind === 'done';
      }}
    />
  );
}
