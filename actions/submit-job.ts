'use server';

import { quoteId } from '@computefabric/protocol/ids';
import { redirect } from 'next/navigation';
import { z } from 'zod';
import { draftErrors, parseDraft } from '@/lib/job-draft.ts';
import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';
import type { DraftErrors } from '@/types/job-draft.ts';
import { jobDraft } from './job-draft-schema.ts';

const submission = z.object({
  draft: jobDraft,
  /** Made by the form: pressing the button twice, or again after a lost answer, gives one job. */
  idempotencyKey: z.string().min(16).max(128),
  /** Of the plan that was seen: its estimate comes onto the receipt. */
  quoteId: quoteId.nullable(),
});

/** Submits the form's job, or its many, and goes to their page; otherwise says what is wrong, field by field. */
export async function submitJob(input: z.input<typeof submission>): Promise<{ errors: DraftErrors }> {
  const session = await requireSession();
  const { draft, idempotencyKey, quoteId: quote } = submission.parse(input);
  const parsed = parseDraft(draft);
  if (parsed.kind === 'wrong') return { errors: parsed.errors };
  const { spec, array, machines } = parsed.job;
  const orchestrator = orchestratorAs(session);
  let page: string;
  try {
    if (array === undefined && machines === undefined) {
      page = `/jobs/${(await orchestrator.jobs.create(spec, { idempotencyKey, quote: quote ?? undefined })).id}`;
    } else {
      const group = { spec, ...(array && { array }), ...(machines && { machines }) };
      page = `/groups/${(await orchestrator.groups.create(group, { idempotencyKey })).id}`;
    }
  } catch (thrown) {
    const failure = failureOf(thrown);
    const errors = draftErrors(failure.fields);
    if (failure.code === 'job/name-taken') return { errors: { name: failure.message } };
    return { errors: Object.keys(errors).length > 0 ? errors : { form: failure.message } };
  }
  redirect(page);
}
