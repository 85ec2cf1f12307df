'use client';

import { useTransition } from 'react';
import { payOwed } from '@/actions/cards.ts';
import { Button } from '@/components/ui/button.tsx';
import { showError } from '@/components/ui/show-error.ts';

/** Tries again what the card was refused for. */
export function PayButton() {
  const [pending, startTransition] = useTransition();
  function pay() {
    startTransition(async () => {
      const result = await payOwed();
      if (result.kind === 'refused') await showError(result.message);
    });
  }
  return (
    <Button size="sm" disabled={pending} onClick={pay}>
      {pending ? 'Charging…' : 'Charge my card again'}
    </Button>
  );
}
