'use client';

import { CreditCard } from 'lucide-react';
import { type FormEvent, useState, useTransition } from 'react';
import { startTopUp } from '@/actions/top-up.ts';
import { MoneyInput } from '@/components/billing/money-input.tsx';
import { openPage } from '@/components/billing/open-page.ts';
import { useIdempotencyKey } from '@/components/shell/use-idempotency-key.ts';
import { Button } from '@/components/ui/button.tsx';
import { Field } from '@/components/ui/field.tsx';

const suggestions = ['10', '20', '50'];

/** An amount, and the way to the page of the payment provider where it is paid. */
export function TopUpForm() {
  const [amount, setAmount] = useState('20');
  const [saveCard, setSaveCard] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [pending, startTransition] = useTransition();
  const { keyOf, renew } = useIdempotencyKey();

  function submit(event: FormEvent) {
    event.preventDefault();
    startTransition(async () => {
      const idempotencyKey = keyOf(`${amount} ${saveCard}`);
      const page = await startTopUp({ amount, saveCard, idempotencyKey });
      if (page.kind === 'refused') setProblem(page.message);
      // Whoever comes back and pays the same amount again means another payment.
      else if (await openPage(page)) renew();
    });
  }

  function change(value: string) {
    setAmount(value);
    setProblem(null);
  }

  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      <Field
        name="top-up-amount"
        label="Amount"
        aside="USD"
        error={problem ?? undefined}
        hint="0.50 to 10,000 dollars. You pay on a page of the payment provider; no card number comes to us."
      >
        {(control) => (
          <MoneyInput {...control} value={amount} onChange={({ target }) => change(target.value)} />
        )}
      </Field>
      <div className="flex flex-wrap gap-2">
        {suggestions.map((value) => (
          <Button
            key={value}
            variant="outline"
            size="sm"
            aria-pressed={amount === value}
            onClick={() => change(value)}
          >
            ${value}
          </Button>
        ))}
      </div>
      <label className="flex min-h-6 items-start gap-2.5 text-sm">
        <input
          type="checkbox"
          checked={saveCard}
          onChange={({ target }) => setSaveCard(target.checked)}
          className="mt-0.5 size-4 accent-primary"
        />
        <span>
          Keep the card for later
          <span className="block text-[0.8125rem] text-muted-foreground">
            Needed for automatic top-ups. It is charged by itself only if you switch them on.
          </span>
        </span>
      </label>
      <Button type="submit" disabled={pending} className="w-full">
        <CreditCard aria-hidden /> {pending ? 'Opening the payment page…' : 'Top up'}
      </Button>
    </form>
  );
}
