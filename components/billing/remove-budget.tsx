'use client';

import { removeBudget } from '@/actions/budgets.ts';
import { FormDialog } from '@/components/shell/form-dialog.tsx';
import { Button } from '@/components/ui/button.tsx';
import { showError } from '@/components/ui/show-error.ts';

/** Takes a limit on spending away, after asking. */
export function RemoveBudget({ id, name }: { id: string; name: string }) {
  return (
    <FormDialog
      trigger={
        <Button variant="ghost" size="sm" aria-label={`Remove: ${name}`}>
          Remove
        </Button>
      }
      title="Remove this budget?"
      description={`${name}. Jobs that it kept waiting are queued, and new ones may spend all that is available.`}
      submitLabel="Remove budget"
      pendingLabel="Removing…"
      keepLabel="Keep it"
      submit={async () => {
        const result = await removeBudget(id);
        if (result.kind === 'refused') await showError(result.message);
        return result.kind === 'done';
      }}
    />
  );
}
