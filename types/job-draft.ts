/**
 * The submit form exactly as typed: nothing is lost or reformatted when something in it is wrong. Every field takes
 * what the flag of the same meaning takes; an empty one leaves the choice to the market.
 */
export interface JobDraft {
  name: string;
  image: string;
  command: string;
  gpus: string;
  /** Models that will do, separated by commas or bars. */
  gpuModels: string;
  gpuShare: string;
  /** Memory of each GPU: a size or a range. */
  vram: string;
  computeCapability: string;
  driver: string;
  cuda: string;
  cpus: string;
  memory: string;
  disk: string;
  region: string;
  reliability: string;
  tier: string;
  /** `internet`, `none`, or servers, separated by commas. */
  network: string;
  /** Dollars per GPU-hour, or per core-hour without GPUs. */
  maxPrice: string;
  /** Dollars that the whole job may cost. */
  maxCost: string;
  /** `checkpoint`, `stop` or empty. */
  onLimit: string;
  class: string;
  priority: string;
  timeLimit: string;
  queue: string;
  /** `JOB` or `JOB:end`, separated by commas. */
  after: string;
  retries: string;
  retryOn: string;
  neverRetryOn: string;
  lostAfter: string;
  stopAfter: string;
  /** `true`, `false` or empty. */
  replace: string;
  keep: string;
  checkpoint: string;
  checkpointEvery: string;
  checkpointCommand: string;
  stopGrace: string;
  /** The same job so many times. */
  arrayCount: string;
  /** Values of variables, one `NAME=value, value` a line: one job for each combination. */
  matrix: string;
  maxParallel: string;
  /** One job on so many machines at the same time. */
  machines: string;
  /** One `NAME=value` a line. */
  env: string;
}

export type JobDraftField = keyof JobDraft;

/** What is wrong, by field. `form` is for what belongs to none. */
export type DraftErrors = Partial<Record<JobDraftField | 'form', string>>;
