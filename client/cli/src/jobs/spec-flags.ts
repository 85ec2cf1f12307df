import { writtenPath } from '@computefabric/protocol/job-file/read-job';

/** Which flag of `submit` gives which key of a job. */
const flags: Record<string, string> = {
  name: '--name',
  image: '--image',
  command: '--command',
  env: '--env',
  gpus: '--gpus',
  gpu: '--gpu',
  gpu_share: '--gpu-share',
  vram: '--vram',
  compute_capability: '--compute-capability',
  driver: '--driver',
  cuda: '--cuda',
  cpus: '--cpus',
  memory: '--memory',
  disk: '--disk',
  region: '--region',
  reliability: '--reliability',
  tier: '--tier',
  network: '--network',
  max_price: '--max-price',
  max_cost: '--max-cost',
  on_limit: '--on-limit',
  class: '--class',
  priority: '--priority',
  time_limit: '--time-limit',
  queue: '--queue',
  after: '--after',
  retries: '--retries',
  'retries.max': '--retries',
  'retries.on': '--retry-on',
  'retries.never_on': '--never-retry-on',
  'disconnect.lost_after': '--lost-after',
  'disconnect.stop_after': '--stop-after',
  'disconnect.replace': '--no-replace',
  'disconnect.keep': '--keep',
  checkpoint: '--checkpoint',
  'checkpoint.path': '--checkpoint',
  'checkpoint.every': '--checkpoint-every',
  'checkpoint.command': '--checkpoint-command',
  stop_grace: '--stop-grace',
  'array.count': '--array',
  'array.matrix': '--matrix',
  'array.max_parallel': '--max-parallel',
  array: '--array',
  machines: '--machines',
};

/** The flag behind a field of the API such as `requirements.gpus` or `env.PATH`; null when no flag gives it. */
export function flagOfField(field: string): string | null {
  return flagOfKey(writtenPath(field));
}

/** The flag behind a key such as `gpus`, `retries.max` or `env.PATH`; null when no flag gives it. */
export function flagOfKey(path: string): string | null {
  for (let prefix = path; prefix !== ''; prefix = prefix.replace(/(?:^|[.[])[^.[]*$/, '')) {
    const flag = flags[prefix];
    if (flag) return named(flag, path.slice(prefix.length));
  }
  return null;
}

/** A variable is named; which of several values of a list it was is not. */
function named(flag: string, rest: string): string {
  return rest.startsWith('.') ? `${flag} ${rest.slice(1)}` : flag;
}
