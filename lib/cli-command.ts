import type { JobDraft } from '../types/job-draft.ts';

/** The command that submits the same job from a terminal. Fields that hold their default are left out. */
export function cliCommand(draft: JobDraft): string {
  const parts = ['npx cfab submit'];
  const add = (flag: string, value: string) => {
    if (value.trim() !== '') parts.push(`${flag} ${shellQuote(value.trim())}`);
  };
  add('--name', draft.name);
  add('--image', draft.image);
  add('--command', draft.command);
  add('--gpus', draft.gpus);
  if (draft.gpus.trim() !== '0') {
    for (const model of draft.gpuModels.split(',')) add('--gpu', model);
    add('--vram', withUnit(draft.minVramGb, 'GB'));
  }
  add('--cpus', draft.cpus);
  add('--memory', withUnit(draft.memoryGb, 'GB'));
  add('--max-price', draft.maxPrice.replace('$', ''));
  add('--time-limit', withUnit(draft.timeLimit, draft.timeLimitUnit === 'hours' ? 'h' : 'm'));
  for (const line of draft.env.split(/\r?\n/)) add('--env', line);
  return parts.join(' \\\n  ');
}

function withUnit(value: string, unit: string): string {
  return value.trim() === '' ? '' : `${value.trim()}${unit}`;
}

/** One word for a POSIX shell, whatever is in it. */
export function shellQuote(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
