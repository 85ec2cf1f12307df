/** Which flag of `submit` gives which field of a job. */
const flags: Record<string, string> = {
  image: '--image',
  command: '--command',
  env: '--env',
  name: '--name',
  'requirements.gpus': '--gpus',
  'requirements.gpu_models': '--gpu',
  'requirements.min_vram_mib': '--vram',
  'requirements.cpus': '--cpus',
  'requirements.memory_mib': '--memory',
  time_limit_seconds: '--time-limit',
  queue_timeout_seconds: '--queue',
  max_price_per_hour_micros: '--max-price',
};

/** The flag behind a field path such as `requirements.gpus` or `env.PATH`; null when no flag gives it. */
export function flagOfField(path: string): string | null {
  for (let prefix = path; prefix !== ''; prefix = prefix.replace(/(?:^|[.[])[^.[]*$/, '')) {
    const flag = flags[prefix];
    if (flag) return prefix === path ? flag : `${flag} ${path.slice(prefix.length).replace(/^\./, '')}`;
  }
  return null;
}
