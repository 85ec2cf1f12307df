'use client';

import { ExternalLink, Send, Settings2 } from 'lucide-react';
import { useState, useTransition } from 'react';
import { changePayouts, requestPayout, setUpPayouts } from '@/actions/payouts.ts';
import { MoneyInput } from '@/components/billing/money-input.tsx';
import { openPage } from '@/components/billing/open-page.ts';
import { FormDialog } from '@/components/shell/form-dialog.tsx';
import { useIdempotencyKey } from '@/components/shell/use-idempotency-key.ts';
import { Button } from '@/components/ui/button.tsx';
import { Field } from '@/components/ui/field.tsx';
import { Input } from '@/components/ui/input.tsx';
import { Select } from '@/components/ui/select.tsx';
import { showError } from '@/components/ui/show-error.ts';

/** Leads to the page of the payment provider that asks who one is and where the money goes. */
export function SetUpPayouts({ isFirst }: { isFirst: boolean }) {
  const [country, setCountry] = useState('US');
  const [problem, setProblem] = useState<string | null>(null);

  async function submit(): Promise<boolean> {
    const page = await setUpPayouts(country);
    if (page.kind === 'refused') {
      setProblem(page.message);
      return false;
    }
    return await openPage(page);
  }

  return (
    <FormDialog
      trigger={
        <Button>
          <ExternalLink aria-hidden /> {isFirst ? 'Set up payouts' : 'Go on with the set-up'}
        </Button>
      }
      title="Where your money goes"
      description="The payment provider asks on its own page who you are and for your bank account. Neither comes to this market."
      submitLabel="Go to its page"
      pendingLabel="Opening…"
      keepLabel="Not now"
      submit={submit}
      onOpen={() => setProblem(null)}
    >
      <Field
        name="payout-country"
        label="Country you live in"
        error={problem ?? undefined}
        hint="Two letters. It counts the first time and cannot be changed afterwards."
      >
        {(control) => (
          <Input
            {...control}
            value={country}
            maxLength={2}
            autoComplete="country"
            onChange={({ target }) => setCountry(target.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}

/** Has all paid out now that may be. */
export function RequestPayout() {
  const [pending, startTransition] = useTransition();
  const { keyOf, renew } = useIdempotencyKey();
  function request() {
    startTransition(async () => {
      const result = await requestPayout(keyOf('all'));
      // Whatever the answer was, the next press means another payout.
      renew();
      if (result.kind === 'refused') await showError(result.message);
    });
  }
  return (
    <Button disabled={pending} onClick={request}>
      <Send aria-hidden /> {pending ? 'Asking…' : 'Pay out now'}
    </Button>
  );
}

/** Changes when and from which amount on money is paid out by itself. */
export function ChangePayouts({ schedule, minimum }: { schedule: string; minimum: string }) {
  const [draft, setDraft] = useState({ schedule, minimum });
  const [problem, setProblem] = useState<string | null>(null);

  async function submit(): Promise<boolean> {
    const result = await changePayouts(draft);
    setProblem(result.kind === 'refused' ? result.message : null);
    return result.kind === 'done';
  }

  return (
    <FormDialog
      trigger={
        <Button variant="outline">
          <Settings2 aria-hidden /> Change
        </Button>
      }
      title="When you are paid"
      description="What may be paid out is sent by itself, once it is at least the minimum."
      submitLabel="Save"
      pendingLabel="Saving…"
      keepLabel="Leave it as it is"
      submit={submit}
      onOpen={() => {
        setDraft({ schedule, minimum });
        setProblem(null);
      }}
    >
      <Field name="payout-schedule" label="Schedule">
        {(control) => (
          <Select
            {...control}
            value={draft.schedule}
            onChange={({ target }) => setDraft((current) => ({ ...current, schedule: target.value }))}
          >
            <option value="daily">each day at 00:00 UTC</option>
            <option value="weekly">each Monday at 00:00 UTC</option>
            <option value="manual">only when I ask for it</option>
          </Select>
        )}
      </Field>
      <Field name="payout-minimum" label="At least" aside="USD" error={problem ?? undefined}>
        {(control) => (
          <MoneyInput
            {...control}
            value={draft.minimum}
            onChange={({ target }) => setDraft((current) => ({ ...current, minimum: target.value }))}
          />
        )}
      </Field>
    </FormDialog>
  );
}
