/** The submit form exactly as typed: nothing is lost or reformatted when something in it is wrong. */
export interface JobDraft {
  name: string;
  image: string;
  command: string;
  gpus: string;
  /** Models that will do, separated by commas; empty is any. */
  gpuModels: string;
  /** Gigabytes of memory of each GPU; empty is any. */
  minVramGb: string;
  cpus: string;
  memoryGb: string;
  /** Dollars per GPU-hour, or per core-hour without GPUs; empty takes the market's default. */
  maxPrice: string;
  timeLimit: string;
  timeLimitUnit: 'minutes' | 'hours';
  /** One `NAME=value` a line. */
  env: string;
}

export type JobDraftField = keyof JobDraft;

/** What is wrong, by field. `form` is for what belongs to none. */
export type DraftErrors = Partial<Record<JobDraftField | 'form', string>>;
