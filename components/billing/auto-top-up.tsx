'use client';

import { RefreshCw } from 'lucide-react';
import { useState, useTransition } from 'react';
import { type AutoTopUpResult, setAutoTopUp } from '@/actions/auto-top-up.ts';
import { MoneyInput } from '@/components/billing/money-input.tsx';
import { FormDialog } from '@/components/shell/form-dialog.tsx';
import { Alert } from '@/components/ui/alert.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Field } from '@/components/ui/field.tsx';
import { showError } from '@/components/ui/show-error.ts';
import { formatMoney } from '@/lib/format-money.ts';
import type { AutoTopUpView } from '@/types/billing-view.ts';

interface AutoTopUpProps {
  autoTopUp: AutoTopUpView | null;
  hasCard: boolean;
  /** Amounts as one would type them. */
  typed: { threshold: string; amount: string; ceiling: string };
}

/** Whether the card is charged by itself below a balance, and the most that it takes in a month. */
export function AutoTopUp({ autoTopUp, hasCard, typed }: AutoTopUpProps) {
  const [pending, startTransition] = useTransition();

  function switchOff() {
    startTransition(async () => {
      const result = await setAutoTopUp(null);
      if (result.kind === 'refused') await showError(result.errors.form ?? 'It is still on.');
    });
  }

  if (!autoTopUp) {
    return (
      <div className="flex flex-col gap-3">
        <p className="text-sm text-muted-foreground">
          Off. {hasCard ? 'Your card is never charged by itself.' : 'It needs a saved card.'}
        </p>
        {hasCard ? (
          <div>
            <AutoTopUpDialog label="Switch on" typed={typed} />
          </div>
        ) : null}
      </div>
    );
  }
  return (
    <div className="flex flex-col gap-3 text-sm">
      {autoTopUp.pausedBecause ? (
        <Alert tone="attention" title="Switched off by itself">
          {autoTopUp.pausedBecause} Set it again to go on.
        </Alert>
      ) : null}
      <p>
        <span className="font-medium">{formatMoney(autoTopUp.amountMicros)}</span> whenever less than{' '}
        <span className="font-medium">{formatMoney(autoTopUp.thresholdMicros)}</span> is available, and never
        more than <span className="font-medium">{formatMoney(autoTopUp.ceilingMicros)}</span> in a calendar
        month (UTC).
      </p>
      <div className="flex flex-wrap gap-2">
        <AutoTopUpDialog label="Change" typed={typed} />
        <Button variant="outline" disabled={pending} onClick={switchOff}>
          {pending ? 'Switching off…' : 'Switch off'}
        </Button>
      </div>
    </div>
  );
}

function AutoTopUpDialog({ label, typed }: { label: string; typed: AutoTopUpProps['typed'] }) {
  const [draft, setDraft] = useState(typed);
  const [errors, setErrors] = useState<Extract<AutoTopUpResult, { kind: 'refused' }>['errors']>({});
  const bind = (field: keyof typeof draft) => ({
    value: draft[field],
    onChange: ({ target }: { target: { value: string } }) =>
      setDraft((current) => ({ ...current, [field]: target.value })),
  });

  async function submit(): Promise<boolean> {
    const result = await setAutoTopUp(draft);
    setErrors(result.kind === 'refused' ? result.errors : {});
    return result.kind === 'done';
  }

  return (
    <FormDialog
      trigger={
        <Button variant="outline">
          <RefreshCw aria-hidden /> {label}
        </Button>
      }
      title="Automatic top-up"
      description="Your saved card is charged without you. Three refusals in a row switch it off."
      submitLabel="Save"
      pendingLabel="Saving…"
      keepLabel="Leave it as it is"
      submit={submit}
      onOpen={() => {
        setDraft(typed);
        setErrors({});
      }}
    >
      {errors.form ? (
        <Alert tone="danger" title="It was not saved" live>
          {errors.form}
        </Alert>
      ) : null}
      <Field
        name="auto-threshold"
        label="When less than this is available"
        aside="USD"
        error={errors.threshold}
      >
        {(control) => <MoneyInput {...control} {...bind('threshold')} />}
      </Field>
      <Field name="auto-amount" label="Charge the card" aside="USD" error={errors.amount}>
        {(control) => <MoneyInput {...control} {...bind('amount')} />}
      </Field>
      <Field
        name="auto-ceiling"
        label="In a month never more than"
        aside="USD"
        error={errors.ceiling}
        hint="What you top up by hand does not count."
      >
        {(control) => <MoneyInput {...control} {...bind('ceiling')} />}
      </Field>
    </FormDialog>
  );
}
