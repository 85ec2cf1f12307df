import { z } from 'zod';
import type { JobDraft } from '@/types/job-draft.ts';

/** Above every limit of a job spec, so that what is too long is answered at its field and not refused here. */
const mostChars = 400_000;
const text = z.string().max(mostChars);

/** The form as it comes in: anybody can call an action with anything. */
export const jobDraft: z.ZodType<JobDraft> = z.strictObject({
  name: text,
  image: text,
  command: text,
  gpus: text,
  gpuModels: text,
  minVramGb: text,
  cpus: text,
  memoryGb: text,
  maxPrice: text,
  timeLimit: text,
  timeLimitUnit: z.enum(['minutes', 'hours']),
  env: text,
});
