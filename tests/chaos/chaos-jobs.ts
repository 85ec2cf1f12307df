import { createHash } from 'node:crypto';
import type { JobSpecInput } from '@computefabric/protocol/user-api/job-spec';
import type { Expectation } from './history.ts';
import { Seeded } from './seeded.ts';

/** A job of the storm and everything that must be true of it afterwards. */
export interface ChaosJob {
  /** Idempotency key of its submit: repeats of it are the same job. */
  key: string;
  spec: JobSpecInput;
  expect: Expectation;
  /** The renter stops it this long after it was submitted; null for all but a few. */
  cancelAfterMs: number | null;
}

/**
 * The jobs of one seed, all tiny: most print a few numbered lines and write a file, some run for seconds, some
 * fail, some are cancelled, some want a (simulated) GPU.
 */
export function chaosJobs(seed: number, count: number, image: string): ChaosJob[] {
  const random = new Seeded(seed ^ 0x5eed);
  return Array.from({ length: count }, (_, index) => chaosJob(seed, index, image, random));
}

function chaosJob(seed: number, index: number, image: string, random: Seeded): ChaosJob {
  const kind = random.pick([
    'quick',
    'quick',
    'quick',
    'quick',
    'file',
    'file',
    'file',
    'slow',
    'fails',
    'cancelled',
  ] as const);
  const lines = random.whole(1, 30);
  const gpus = random.chance(0.25) ? 1 : 0;
  const tag = `${seed}-${index}`;
  const print = `i=0; while [ $i -lt ${lines} ]; do echo ${tag} $i; i=$((i+1)); done`;
  const stdout = Array.from({ length: lines }, (_unused, line) => `${tag} ${line}\n`).join('');
  const made = (command: string, expect: Partial<Expectation> = {}, cancelAfterMs: number | null = null) => ({
    key: `chaos-${tag}-${random.whole(0, 999_999_999)}`,
    spec: {
      image,
      command,
      requirements: { gpus, cpus: 0.25, memory_mib: 32 },
      time_limit_seconds: 600,
      stop_grace_seconds: 1,
    },
    expect: { state: 'succeeded' as const, exitCode: 0, stdout, files: [], ...expect },
    cancelAfterMs,
  });
  switch (kind) {
    case 'quick':
      return made(print);
    case 'file': {
      const text = `result of ${tag}\n`.repeat(random.whole(1, 200));
      const write = `${print}; i=0; while [ $i -lt ${text.length / `result of ${tag}\n`.length} ]; do echo result of ${tag}; i=$((i+1)); done > /outputs/result.txt`;
      const sha256 = createHash('sha256').update(text).digest('hex');
      return made(write, { files: [{ path: 'result.txt', sizeBytes: text.length, sha256 }] });
    }
    case 'slow': {
      const seconds = random.whole(1, 4);
      return made(print.replace('echo', `sleep ${(seconds / lines).toFixed(3)}; echo`));
    }
    case 'fails':
      return made(`${print}; exit 3`, { state: 'failed', exitCode: 3 });
    case 'cancelled':
      // Its output depends on when it is stopped, so nothing is expected of it but the end.
      return made(
        `echo ${tag}; exec sleep 900`,
        { state: 'cancelled', exitCode: null, stdout: null },
        random.whole(500, 6_000),
      );
  }
}
