'use client';

import { disputeReasons } from '@computefabric/protocol/dispute';
import { MessageCircleWarning } from 'lucide-react';
import { useState } from 'react';
import { openDispute } from '@/actions/open-dispute.ts';
import { FormDialog } from '@/components/shell/form-dialog.tsx';
import { useIdempotencyKey } from '@/components/shell/use-idempotency-key.ts';
import { Button } from '@/components/ui/button.tsx';
import { Field } from '@/components/ui/field.tsx';
import { Select } from '@/components/ui/select.tsx';
import { Textarea } from '@/components/ui/textarea.tsx';
import { disputeReasonWords } from '@/lib/dispute-words.ts';

/** Asks for the money of an ended job back. */
export function ContestJob({ jobId, jobName }: { jobId: string; jobName: string }) {
  const [reason, setReason] = useState<string>('wrong-result');
  const [message, setMessage] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const { keyOf } = useIdempotencyKey();

  async function submit(): Promise<boolean> {
    const idempotencyKey = keyOf(`${reason} ${message}`);
    const result = await openDispute({ job: jobId, reason, message, idempotencyKey });
    setProblem(result.kind === 'refused' ? result.message : null);
    return result.kind === 'done';
  }

  return (
    <FormDialog
      trigger={
        <Button variant="outline" size="sm">
          <MessageCircleWarning aria-hidden /> Contest this job
        </Button>
      }
      title={`Contest ${jobName}?`}
      description="The market's record of the job is attached. Clear cases decide themselves at once; the operator looks at the others. You and the owner of the machine both read why."
      submitLabel="Contest it"
      pendingLabel="Asking…"
      keepLabel="Leave it as it is"
      submit={submit}
    >
      <Field name="dispute-reason" label="What was wrong?">
        {(control) => (
          <Select {...control} value={reason} onChange={({ target }) => setReason(target.value)}>
            {disputeReasons.map((value) => (
              <option key={value} value={value}>
                {disputeReasonWords[value]}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field
        name="dispute-message"
        label="In your words"
        error={problem ?? undefined}
        hint="Read by the operator, not by the owner of the machine."
      >
        {(control) => (
          <Textarea
            {...control}
            value={message}
            maxLength={4_000}
            placeholder="The loss is NaN from the first step on."
            onChange={({ target }) => setMessage(target.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
