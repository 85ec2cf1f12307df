'use client';

import { Undo2 } from 'lucide-react';
import { useState } from 'react';
import { refundBalance } from '@/actions/refund-balance.ts';
import { MoneyInput } from '@/components/billing/money-input.tsx';
import { FormDialog } from '@/components/shell/form-dialog.tsx';
import { useIdempotencyKey } from '@/components/shell/use-idempotency-key.ts';
import { Button } from '@/components/ui/button.tsx';
import { Field } from '@/components/ui/field.tsx';

/** Takes unspent money back to the cards that it came from. */
export function RefundDialog() {
  const [amount, setAmount] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const { keyOf, renew } = useIdempotencyKey();

  async function submit(): Promise<boolean> {
    const result = await refundBalance({ amount, idempotencyKey: keyOf(amount) });
    setProblem(result.kind === 'refused' ? result.message : null);
    setDone(result.kind === 'done' ? result.message : null);
    if (result.kind === 'done') renew();
    return result.kind === 'done';
  }

  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
      <FormDialog
        trigger={
          <Button variant="outline">
            <Undo2 aria-hidden /> Give money back to my card
          </Button>
        }
        title="Give money back to your card"
        description="Unspent money goes back to the cards that it came from, newest payment first. What is reserved for unfinished jobs and credit from the market stays."
        submitLabel="Give it back"
        pendingLabel="Asking…"
        keepLabel="Keep it here"
        submit={submit}
        onOpen={() => {
          setAmount('');
          setProblem(null);
          setDone(null);
        }}
      >
        <Field
          name="refund-amount"
          label="Amount"
          aside="USD"
          error={problem ?? undefined}
          hint="Empty gives back all that can go back. Banks take some days to show it."
        >
          {(control) => (
            <MoneyInput
              {...control}
              value={amount}
              placeholder="all"
              onChange={({ target }) => setAmount(target.value)}
            />
          )}
        </Field>
      </FormDialog>
      <p role="status" className="text-sm text-success">
        {done}
      </p>
    </div>
  );
}
