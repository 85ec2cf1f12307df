'use client';

import { type ReactNode, useState } from 'react';
import { setBudget } from '@/actions/budgets.ts';
import { MoneyInput } from '@/components/billing/money-input.tsx';
import { FormDialog } from '@/components/shell/form-dialog.tsx';
import { Field } from '@/components/ui/field.tsx';
import { Select } from '@/components/ui/select.tsx';

export interface BudgetDraft {
  /** Empty is the whole account. */
  apiKeyId: string;
  period: string;
  amount: string;
  onLimit: string;
}

interface BudgetDialogProps {
  trigger: ReactNode;
  title: string;
  initial: BudgetDraft;
  /** Keys to choose from; null where an existing budget is changed and its account or key stays. */
  keys: { id: string; name: string }[] | null;
}

/** Sets a limit on spending and says what happens at it. */
export function BudgetDialog({ trigger, title, initial, keys }: BudgetDialogProps) {
  const [draft, setDraft] = useState(initial);
  const [problem, setProblem] = useState<string | null>(null);
  const bind = (field: keyof BudgetDraft) => ({
    value: draft[field],
    onChange: ({ target }: { target: { value: string } }) =>
      setDraft((current) => ({ ...current, [field]: target.value })),
  });

  async function submit(): Promise<boolean> {
    const result = await setBudget({ ...draft, apiKeyId: draft.apiKeyId === '' ? null : draft.apiKeyId });
    setProblem(result.kind === 'refused' ? result.message : null);
    return result.kind === 'done';
  }

  return (
    <FormDialog
      trigger={trigger}
      title={title}
      description="You are told at 50, 80 and 100 %. At the limit new jobs are refused and queued ones wait until you raise or remove it."
      submitLabel="Save budget"
      pendingLabel="Saving…"
      keepLabel="Leave it as it is"
      submit={submit}
      onOpen={() => {
        setDraft(initial);
        setProblem(null);
      }}
    >
      {keys ? (
        <>
          <Field name="budget-whose" label="For">
            {(control) => (
              <Select {...control} {...bind('apiKeyId')}>
                <option value="">the whole account</option>
                {keys.map(({ id, name }) => (
                  <option key={id} value={id}>
                    API key {name}
                  </option>
                ))}
              </Select>
            )}
          </Field>
          <Field name="budget-period" label="Counted">
            {(control) => (
              <Select {...control} {...bind('period')}>
                <option value="month">each calendar month (UTC)</option>
                <option value="total">from now on, in all</option>
              </Select>
            )}
          </Field>
        </>
      ) : null}
      <Field name="budget-amount" label="Spend at most" aside="USD" error={problem ?? undefined}>
        {(control) => <MoneyInput {...control} {...bind('amount')} />}
      </Field>
      <Field name="budget-on-limit" label="Jobs that run at the limit">
        {(control) => (
          <Select {...control} {...bind('onLimit')}>
            <option value="stop-new">go on to their end</option>
            <option value="also-stop-running">are stopped with their grace time</option>
          </Select>
        )}
      </Field>
    </FormDialog>
  );
}
