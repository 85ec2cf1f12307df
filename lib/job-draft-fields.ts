import type { JobDraftField } from '../types/job-draft.ts';

/** How a field of the form is called elsewhere. */
export interface DraftField {
  field: JobDraftField;
  /** The key of the job file. */
  key: string;
  /** The flag of `cfab submit`. */
  flag: string;
  /** Makes no sense without a GPU; hidden then, and not sent. */
  aboutGpus?: true;
  /** Behind the disclosure. */
  advanced?: true;
}

/** The fields of the form, in its order. */
export const draftFields: readonly DraftField[] = [
  { field: 'name', key: 'name', flag: '--name' },
  { field: 'image', key: 'image', flag: '--image' },
  { field: 'command', key: 'command', flag: '--command' },
  { field: 'gpus', key: 'gpus', flag: '--gpus' },
  { field: 'gpuModels', key: 'gpu', flag: '--gpu', aboutGpus: true },
  { field: 'vram', key: 'vram', flag: '--vram', aboutGpus: true },
  { field: 'cpus', key: 'cpus', flag: '--cpus' },
  { field: 'memory', key: 'memory', flag: '--memory' },
  { field: 'maxPrice', key: 'max_price', flag: '--max-price' },
  { field: 'timeLimit', key: 'time_limit', flag: '--time-limit' },
  { field: 'maxCost', key: 'max_cost', flag: '--max-cost' },
  { field: 'onLimit', key: 'on_limit', flag: '--on-limit' },
  { field: 'gpuShare', key: 'gpu_share', flag: '--gpu-share', aboutGpus: true, advanced: true },
  {
    field: 'computeCapability',
    key: 'compute_capability',
    flag: '--compute-capability',
    aboutGpus: true,
    advanced: true,
  },
  { field: 'driver', key: 'driver', flag: '--driver', aboutGpus: true, advanced: true },
  { field: 'cuda', key: 'cuda', flag: '--cuda', aboutGpus: true, advanced: true },
  { field: 'disk', key: 'disk', flag: '--disk', advanced: true },
  { field: 'region', key: 'region', flag: '--region', advanced: true },
  { field: 'reliability', key: 'reliability', flag: '--reliability', advanced: true },
  { field: 'tier', key: 'tier', flag: '--tier', advanced: true },
  { field: 'network', key: 'network', flag: '--network', advanced: true },
  { field: 'class', key: 'class', flag: '--class', advanced: true },
  { field: 'priority', key: 'priority', flag: '--priority', advanced: true },
  { field: 'queue', key: 'queue', flag: '--queue', advanced: true },
  { field: 'after', key: 'after', flag: '--after', advanced: true },
  { field: 'retries', key: 'retries.max', flag: '--retries', advanced: true },
  { field: 'retryOn', key: 'retries.on', flag: '--retry-on', advanced: true },
  { field: 'neverRetryOn', key: 'retries.never_on', flag: '--never-retry-on', advanced: true },
  { field: 'lostAfter', key: 'disconnect.lost_after', flag: '--lost-after', advanced: true },
  { field: 'stopAfter', key: 'disconnect.stop_after', flag: '--stop-after', advanced: true },
  { field: 'replace', key: 'disconnect.replace', flag: '--no-replace', advanced: true },
  { field: 'keep', key: 'disconnect.keep', flag: '--keep', advanced: true },
  { field: 'checkpoint', key: 'checkpoint.path', flag: '--checkpoint', advanced: true },
  { field: 'checkpointEvery', key: 'checkpoint.every', flag: '--checkpoint-every', advanced: true },
  { field: 'checkpointCommand', key: 'checkpoint.command', flag: '--checkpoint-command', advanced: true },
  { field: 'stopGrace', key: 'stop_grace', flag: '--stop-grace', advanced: true },
  { field: 'arrayCount', key: 'array.count', flag: '--array', advanced: true },
  { field: 'matrix', key: 'array.matrix', flag: '--matrix', advanced: true },
  { field: 'maxParallel', key: 'array.max_parallel', flag: '--max-parallel', advanced: true },
  { field: 'machines', key: 'machines', flag: '--machines', advanced: true },
  { field: 'env', key: 'env', flag: '--env' },
];

/**
 * Lines of `NAME=value` as pairs; empty lines say nothing. Only the first equals sign divides: values may hold more
 * of them. `problem` names the first line that is none, and the pairs are those before it.
 */
export function pairsOf(text: string): { pairs: [name: string, value: string][]; problem: string | null } {
  const pairs: [string, string][] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const at = line.indexOf('=');
    if (at <= 0) return { pairs, problem: `Line ${index + 1} is not NAME=value.` };
    const name = line.slice(0, at).trim();
    if (pairs.some(([other]) => other === name))
      return { pairs, problem: `Line ${index + 1} sets ${name} a second time.` };
    pairs.push([name, line.slice(at + 1)]);
  }
  return { pairs, problem: null };
}

/** What commas divide. */
export function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
