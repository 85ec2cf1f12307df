'use client';

import { useEffect, useState, useTransition } from 'react';
import { planJob } from '@/actions/plan-job.ts';
import type { DraftErrors, JobDraft } from '@/types/job-draft.ts';
import type { PlanView } from '@/types/plan-view.ts';

/** Typing pauses this long before the plan follows. */
const planDelayMs = 350;

/** The plan of the form as it stands. The last plan stays in view while the next one is on its way. */
export function usePlan(draft: JobDraft) {
  const [planned, setPlanned] = useState<{ draft: JobDraft; plan: PlanView } | null>(null);
  const [planErrors, setPlanErrors] = useState<DraftErrors>({});
  const [planning, startPlanning] = useTransition();

  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      startPlanning(async () => {
        const result = await planJob(draft).catch((): Awaited<ReturnType<typeof planJob>> => lostConnection);
        // An answer that is older than what is typed now is of no use.
        if (!current) return;
        setPlanErrors(result.kind === 'refused' ? result.errors : {});
        if (result.kind === 'plan') setPlanned({ draft, plan: result.plan });
      });
    }, planDelayMs);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [draft]);

  /** What was told to expect, while it was told of the form as it stands. */
  const quoteId = planned?.draft === draft ? planned.plan.quoteId : null;
  return { plan: planned?.plan ?? null, quoteId, planErrors, planning };
}

const lostConnection = {
  kind: 'refused',
  errors: { form: 'The plan could not be made: no connection.' },
} as const;
