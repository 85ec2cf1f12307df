'use server';

import { draftErrors, parseDraft } from '@/lib/job-draft.ts';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { toPlanView } from '@/lib/plan-view.ts';
import { requireSession } from '@/lib/session.ts';
import type { JobDraft } from '@/types/job-draft.ts';
import type { PlanResult } from '@/types/plan-view.ts';
import { jobDraft } from './job-draft-schema.ts';

/** Offers and price of the form's job as it stands; nothing is submitted or reserved. */
export async function planJob(input: JobDraft): Promise<PlanResult> {
  const session = await requireSession();
  const parsed = parseDraft(jobDraft.parse(input));
  if (parsed.kind === 'wrong') return { kind: 'refused', errors: parsed.errors };
  try {
    return { kind: 'plan', plan: toPlanView(await orchestratorAs(session).jobs.quote(parsed.spec)) };
  } catch (thrown) {
    const failure = failureOf(thrown);
    const errors = draftErrors(failure.fields);
    return { kind: 'refused', errors: Object.keys(errors).length > 0 ? errors : { form: failure.message } };
  }
}
