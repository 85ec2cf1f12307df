'use server';

import { draftErrors, jobCount, parseDraft } from '@/lib/job-draft.ts';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { toPlanView } from '@/lib/plan-view.ts';
import { requireSession } from '@/lib/session.ts';
import type { JobDraft } from '@/types/job-draft.ts';
import type { PlanResult } from '@/types/plan-view.ts';
import { jobDraft } from './job-draft-schema.ts';

/** Offers for one job of the form as it stands, and the price of all of them; nothing is submitted or reserved. */
export async function planJob(input: JobDraft): Promise<PlanResult> {
  const session = await requireSession();
  const parsed = parseDraft(jobDraft.parse(input));
  if (parsed.kind === 'wrong') return { kind: 'refused', errors: parsed.errors };
  try {
    const quote = await orchestratorAs(session).jobs.quote(parsed.job.spec);
    return { kind: 'plan', plan: toPlanView(quote, jobCount(parsed.job)) };
  } catch (thrown) {
    const failure = failureOf(thrown);
    const errors = draftErrors(failure.fields);
    return { kind: 'refused', errors: Object.keys(errors).length > 0 ? errors : { form: failure.message } };
  }
}
