import { z } from 'zod';
import { draftFields } from '@/lib/job-draft-fields.ts';
import type { JobDraft, JobDraftField } from '@/types/job-draft.ts';

/** Above every limit of a job spec, so that what is too long is answered at its field and not refused here. */
const mostChars = 400_000;
const text = z.string().max(mostChars);

const shape = Object.fromEntries(draftFields.map(({ field }) => [field, text])) as Record<
  JobDraftField,
  typeof text
>;

/** The form as it comes in: anybody can call an action with anything. */
export const jobDraft: z.ZodType<JobDraft> = z.strictObject(shape);
