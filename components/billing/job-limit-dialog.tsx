'use client';

import { Gauge } from 'lucide-react';
import { useState } from 'react';
import { setJobLimit } from '@/actions/budgets.ts';
import { MoneyInput } from '@/components/billing/money-input.tsx';
import { FormDialog } from '@/components/shell/form-dialog.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Field } from '@/components/ui/field.tsx';
import { Select } from '@/components/ui/select.tsx';
import { formatUsd } from '@computefabric/protocol/money';
import type { JobView } from '@/types/job-view.ts';

type LimitedJob = Pick<JobView, 'id' | 'name' | 'maxCostMicros' | 'onCostLimit'>;

/** Raises, lowers or sets what an unfinished job may cost. */
export function JobLimitDialog({ job }: { job: LimitedJob }) {
  const current = job.maxCostMicros === null ? '' : formatUsd(job.maxCostMicros).slice(1);
  const [amount, setAmount] = useState(current);
  const [onLimit, setOnLimit] = useState<string>(job.onCostLimit);
  const [problem, setProblem] = useState<string | null>(null);

  async function submit(): Promise<boolean> {
    const result = await setJobLimit({ job: job.id, amount, onLimit });
    setProblem(result.kind === 'refused' ? result.message : null);
    return result.kind === 'done';
  }

  return (
    <div>
      <FormDialog
        trigger={
          <Button variant="outline" size="sm">
            <Gauge aria-hidden /> {job.maxCostMicros === null ? 'Set a limit' : 'Change the limit'}
          </Button>
        }
        title={`What may ${job.name} cost?`}
        description="The bill never goes past it, by not a single micro. The money for it is reserved."
        submitLabel="Save limit"
        pendingLabel="Saving…"
        keepLabel="Leave it as it is"
        submit={submit}
        onOpen={() => {
          setAmount(current);
          setOnLimit(job.onCostLimit);
          setProblem(null);
        }}
      >
        <Field
          name="job-limit"
          label="At most"
          aside="USD"
          error={problem ?? undefined}
          hint="Empty: only its price and time limit count."
        >
          {(control) => (
            <MoneyInput {...control} value={amount} onChange={({ target }) => setAmount(target.value)} />
          )}
        </Field>
        <Field name="job-on-limit" label="As it comes near">
          {(control) => (
            <Select {...control} value={onLimit} onChange={({ target }) => setOnLimit(target.value)}>
              <option value="checkpoint">stop early enough to save the state</option>
              <option value="stop">use all of it, then stop</option>
            </Select>
          )}
        </Field>
      </FormDialog>
    </div>
  );
}
