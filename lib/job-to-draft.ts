import { limits } from '@computefabric/protocol/limits';
import type { JobDraft } from '../types/job-draft.ts';
import { shellQuote } from './cli-command.ts';
import { mibToGigabytes } from './format-size.ts';

/** The form as it opens: a short job on one GPU. */
export const emptyDraft: JobDraft = {
  name: '',
  image: '',
  command: '',
  gpus: '1',
  gpuModels: '',
  minVramGb: '',
  cpus: '1',
  memoryGb: '1',
  maxPrice: '',
  timeLimit: String(limits.timeLimitSeconds.default / 60),
  timeLimitUnit: 'minutes',
  env: '',
};

interface SourceJob {
  image: string;
  command: string | string[] | null;
  env: Record<string, string>;
  gpus: number;
  gpuModels: string[];
  minVramMib: number;
  cpuMilli: number;
  memoryMib: number;
  timeLimitSeconds: number;
  maxPricePerHourMicros: bigint;
}

/** The form filled in like an earlier job. Its name is left out, since names are unique. */
export function draftFromJob(job: SourceJob): JobDraft {
  const inHours = job.timeLimitSeconds >= 7_200 && job.timeLimitSeconds % 3_600 === 0;
  return {
    name: '',
    image: job.image,
    command: Array.isArray(job.command) ? job.command.map(shellQuote).join(' ') : (job.command ?? ''),
    gpus: String(job.gpus),
    gpuModels: job.gpuModels.join(', '),
    minVramGb: job.minVramMib === 0 ? '' : mibToGigabytes(job.minVramMib),
    cpus: String(job.cpuMilli / 1_000),
    memoryGb: mibToGigabytes(job.memoryMib),
    maxPrice: dollars(job.maxPricePerHourMicros),
    timeLimit: decimal(inHours ? job.timeLimitSeconds / 3_600 : job.timeLimitSeconds / 60),
    timeLimitUnit: inHours ? 'hours' : 'minutes',
    env: Object.entries(job.env)
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
  };
}

function dollars(micros: bigint): string {
  const fraction = (micros % 1_000_000n)
    .toString()
    .padStart(6, '0')
    .replace(/0{1,4}$/, '');
  return `${micros / 1_000_000n}.${fraction}`;
}

/** At most six decimals, which is what the form reads. */
function decimal(value: number): string {
  return String(Number(value.toFixed(6)));
}
