import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gigabytesToMib, mibToGigabytes } from './format-size.ts';
import { parseDraft } from './job-draft.ts';
import { draftFromJob, emptyDraft } from './job-to-draft.ts';

const job = {
  image: 'pytorch/pytorch:latest',
  command: ['python', 'train.py', '--name', 'a b'],
  env: { A: '1', B: 'x=y' },
  gpus: 2,
  gpuModels: ['RTX 4090'],
  minVramMib: 22_889,
  cpuMilli: 1_500,
  memoryMib: 3_815,
  timeLimitSeconds: 5_400,
  maxPricePerHourMicros: 312_500n,
};

describe('the form filled in from an earlier job', () => {
  it('asks for the same again', () => {
    const parsed = parseDraft(draftFromJob(job));
    expect(parsed).toMatchObject({
      kind: 'spec',
      spec: {
        image: job.image,
        command: "python train.py --name 'a b'",
        env: job.env,
        requirements: {
          gpus: 2,
          gpu_models: ['RTX 4090'],
          min_vram_mib: 22_889,
          cpus: 1.5,
          memory_mib: 3_815,
        },
        time_limit_seconds: 5_400,
        max_price_per_hour_micros: '312500',
      },
    });
  });

  it('keeps every memory size and every time limit exactly', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 16, max: 4_194_304 }),
        fc.integer({ min: 1, max: 604_800 }),
        (mib, seconds) => {
          expect(gigabytesToMib(Number(mibToGigabytes(mib)))).toBe(mib);
          const parsed = parseDraft(draftFromJob({ ...job, timeLimitSeconds: seconds }));
          expect(parsed).toMatchObject({ spec: { time_limit_seconds: seconds } });
        },
      ),
    );
  });

  it('shows round sizes as round numbers', () => {
    expect(mibToGigabytes(22_889)).toBe('24');
    expect(mibToGigabytes(954)).toBe('1');
    expect(mibToGigabytes(1_431)).toBe('1.5');
  });
});

describe('the empty form', () => {
  it('lacks nothing but an image', () => {
    expect(parseDraft(emptyDraft)).toMatchObject({ kind: 'wrong', errors: { image: expect.any(String) } });
    expect(parseDraft({ ...emptyDraft, image: 'busybox:latest' }).kind).toBe('spec');
  });
});
