import { describe, expect, it } from 'vitest';
import type { JobDraft } from '../types/job-draft.ts';
import { draftErrors, parseDraft } from './job-draft.ts';

const draft: JobDraft = {
  name: '',
  image: 'pytorch/pytorch:latest',
  command: 'python train.py',
  gpus: '1',
  gpuModels: '',
  minVramGb: '',
  cpus: '2',
  memoryGb: '4',
  maxPrice: '',
  timeLimit: '30',
  timeLimitUnit: 'minutes',
  env: '',
};

function specOf(changes: Partial<JobDraft>) {
  const parsed = parseDraft({ ...draft, ...changes });
  if (parsed.kind !== 'spec') throw new Error(JSON.stringify(parsed.errors));
  return parsed.spec;
}

function errorsOf(changes: Partial<JobDraft>) {
  const parsed = parseDraft({ ...draft, ...changes });
  return parsed.kind === 'wrong' ? parsed.errors : {};
}

describe('the submit form', () => {
  it('becomes a job spec in the units of the API', () => {
    expect(
      specOf({ minVramGb: '24', maxPrice: '0.40', timeLimit: '1.5', timeLimitUnit: 'hours' }),
    ).toMatchObject({
      image: 'pytorch/pytorch:latest',
      command: 'python train.py',
      requirements: { gpus: 1, min_vram_mib: 22_889, cpus: 2, memory_mib: 3_815 },
      time_limit_seconds: 5_400,
      max_price_per_hour_micros: '400000',
    });
  });

  it('leaves the choice to the image and the market where a field is empty', () => {
    expect(specOf({ command: ' ', maxPrice: '', name: '' })).toMatchObject({
      command: null,
      max_price_per_hour_micros: null,
      name: undefined,
    });
  });

  it('keeps equals signs and spaces in values of the environment', () => {
    expect(specOf({ env: 'A=b=c\n\nEMPTY=\nSPACED= x ' }).env).toEqual({
      A: 'b=c',
      EMPTY: '',
      SPACED: ' x ',
    });
  });

  it('splits the models that will do', () => {
    expect(specOf({ gpuModels: 'RTX 4090, A100 ,' }).requirements?.gpu_models).toEqual(['RTX 4090', 'A100']);
  });

  it('does not send what was typed for GPUs when none is asked for', () => {
    expect(specOf({ gpus: '0', minVramGb: '24', gpuModels: 'A100' }).requirements).toMatchObject({
      gpus: 0,
      gpu_models: [],
      min_vram_mib: 0,
    });
  });

  it.each<[keyof JobDraft, string]>([
    ['image', ''],
    ['image', '--privileged'],
    ['gpus', '1.5'],
    ['gpus', '9'],
    ['cpus', '0'],
    ['memoryGb', 'lots'],
    ['minVramGb', '-1'],
    ['maxPrice', '0,40'],
    ['timeLimit', '0'],
    ['timeLimit', '99999999'],
    ['name', 'Bad Name'],
    ['env', 'NOVALUE'],
    ['env', 'A=1\nA=2'],
    ['env', 'LD_PRELOAD=x'],
  ])('puts the complaint at the field: %s = "%s"', (field, value) => {
    expect(Object.keys(errorsOf({ [field]: value }))).toEqual([field]);
  });

  it('complains about every wrong field at once', () => {
    expect(Object.keys(errorsOf({ image: '', cpus: 'x', maxPrice: 'y' })).toSorted()).toEqual([
      'cpus',
      'image',
      'maxPrice',
    ]);
  });

  it('puts problems that the server found at their fields, and the rest above the form', () => {
    expect(
      draftErrors([
        { path: 'requirements.gpus', message: 'must be at most 8' },
        { path: 'requirements.gpus', message: 'second' },
        { path: 'somewhere', message: 'is odd' },
      ]),
    ).toEqual({ gpus: 'Must be at most 8.', form: 'somewhere: is odd' });
  });
});
