import type { JobWords } from '@computefabric/protocol/job-file/job-file';
import { readJob } from '@computefabric/protocol/job-file/read-job';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quoteTerms } from '../pricing/quote.ts';
import { busyMachine, testCard, testMachine } from '../testing/test-machine.ts';
import { explain } from './explain.ts';
import { expectedStartMs } from './expected-start.ts';
import { compileNeeds } from './filters.ts';
import { type JobNeeds, type MachineView, needsWith } from './machine-view.ts';

const anyNeeds: JobNeeds = needsWith({ gpus: 1, maxPricePerHourMicros: 1_000_000n });
const now = new Date('2026-03-01T12:00:00Z');

function tell(needs: JobNeeds, machines: readonly MachineView[], ahead: readonly JobNeeds[] = []) {
  return explain(needs, machines, { position: ahead.length + 1, now, ahead });
}

/** What a job asks for that is written like this; null when it could not be submitted. */
function needsOf(words: Partial<JobWords>): JobNeeds | null {
  const read = readJob({ image: 'busybox', ...words });
  return read.kind === 'wrong' ? null : quoteTerms(jobSpec.parse(read.job.spec), 1_000_000n).needs;
}

/** The words with the suggested change made to them. */
function changed(
  words: Partial<JobWords>,
  change: { field: string; value: string | null },
): Partial<JobWords> {
  const { [change.field as keyof JobWords]: _, ...rest } = words;
  return change.value === null ? rest : { ...rest, [change.field]: change.value };
}

const inTheWay: [string, Partial<JobWords>, Partial<MachineView>, string][] = [
  ['price', { gpus: 1, max_price: '0.10' }, {}, 'max_price'],
  ['spot price', { gpus: 1, max_price: '0.20' }, { spotPercent: 50 }, 'class'],
  ['region', { gpus: 1, region: 'us-east' }, {}, 'region'],
  ['region of a machine that has none', { gpus: 1, region: 'us-east' }, { region: '' }, 'region'],
  ['reliability', { gpus: 1, reliability: '99%' }, {}, 'reliability'],
  ['tier', { gpus: 1, tier: 'trusted' }, {}, 'tier'],
  ['memory of the GPU', { gpus: 1, vram: '80GB' }, {}, 'vram'],
  ['upper bound of the memory', { gpus: 1, vram: '8GB..16GB' }, {}, 'vram'],
  ['model', { gpus: 1, gpu: 'H100' }, {}, 'gpu'],
  ['share', { gpus: 1, gpu_share: '0.5' }, {}, 'gpu_share'],
  [
    'a share that is larger than what is free',
    { gpus: 1, gpu_share: '0.5' },
    { sharesGpus: true, gpus: [testCard('m', { freeMilli: 250 })] },
    'gpu_share',
  ],
  ['compute capability', { gpus: 1, compute_capability: '12.0' }, {}, 'compute_capability'],
  ['driver', { gpus: 1, driver: '550' }, {}, 'driver'],
  ['unknown driver', { gpus: 1, driver: '1' }, { gpus: [testCard('m', { driverVersion: null })] }, 'driver'],
  ['CUDA', { gpus: 1, cuda: '13.0' }, {}, 'cuda'],
  ['unknown CUDA', { gpus: 1, cuda: '1' }, { cudaVersion: null }, 'cuda'],
  ['number of GPUs', { gpus: 4 }, {}, 'gpus'],
  ['memory', { gpus: 1, memory: '100GiB' }, {}, 'memory'],
  ['cores', { gpus: 1, cpus: 32 }, {}, 'cpus'],
  ['disk', { gpus: 1, disk: '500GB' }, {}, 'disk'],
  ['time limit', { gpus: 1, time_limit: '2h' }, { awayInMs: 3_600_000 }, 'time_limit'],
  ['a GPU where there is none', { gpus: 1 }, { gpus: [] }, 'gpus'],
];

describe('the smallest change', () => {
  test.each(inTheWay)(
    '%s: what is suggested is the thing that was in the way, and with it the job fits',
    (_, words, has, field) => {
      const machine = testMachine('m', has);
      const needs = needsOf(words);
      if (!needs) throw new Error('should be a job');
      expect(compileNeeds(needs).fails(machine)).not.toBeNull();
      const { suggestion, change } = tell(needs, [machine]);
      expect(change?.field).toBe(field);
      expect(suggestion).toContain(`--${field === 'class' ? 'spot' : field.replaceAll('_', '-')}`);
      const better = change && needsOf(changed(words, change));
      expect(better && compileNeeds(better).fails(machine)).toBeNull();
    },
  );

  test('whatever is asked and offered, a change that is suggested for now is one with which a machine is free', () => {
    const wishes = {
      gpus: fc.integer({ min: 0, max: 4 }),
      gpu: fc.constantFrom('A100', 'RTX 4090', 'H100|A100'),
      vram: fc.constantFrom('24GB', '80GB', '8GB..16GB', '..8GB'),
      memory: fc.constantFrom('1GiB', '100GiB', '777MiB'),
      cpus: fc.constantFrom(1, 20),
      disk: fc.constantFrom('1GB', '1TB'),
      region: fc.constantFrom('eu-west', 'lab'),
      reliability: fc.constantFrom('0.9', '99.9%'),
      tier: fc.constantFrom('community' as const, 'trusted' as const),
      driver: fc.constantFrom('470', '550.54'),
      cuda: fc.constantFrom('11.8', '13.0'),
      max_price: fc.constantFrom('0.05', '0.40'),
    };
    const keys = Object.keys(wishes) as (keyof typeof wishes)[];
    const someWords = fc
      .tuple(fc.record(wishes), fc.subarray(keys, { minLength: 1, maxLength: 2 }))
      .map(([all, some]) => ({ gpus: 1, ...Object.fromEntries(some.map((key) => [key, all[key]])) }));
    const someMachine = fc
      .record({
        cards: fc.array(
          fc.record({
            name: fc.constantFrom('NVIDIA GeForce RTX 4090', 'NVIDIA A100 80GB PCIe'),
            memoryMib: fc.constantFrom(8_192, 24_564, 81_920, 12_345),
            driverVersion: fc.constantFrom(null, '470.82', '535.104.05'),
            freeMilli: fc.constantFrom(0, 1_000),
          }),
          { maxLength: 4 },
        ),
        cpuMilliFree: fc.constantFrom(16_000, 500),
        memoryMibFree: fc.constantFrom(65_536, 777),
        region: fc.constantFrom('', 'eu-west', 'lab'),
        reliabilityMilli: fc.integer({ min: 0, max: 1_000 }),
        pricePerGpuHourMicros: fc.bigInt({ min: 1n, max: 900_000n }),
        diskMibFree: fc.integer({ min: 0, max: 300_000 }),
      })
      .map(({ cards, ...rest }) =>
        testMachine('m', { ...rest, gpus: cards.map((each) => testCard('m', each)) }),
      );
    let suggested = 0;
    fc.assert(
      fc.property(someWords, fc.array(someMachine, { minLength: 1, maxLength: 4 }), (words, machines) => {
        const needs = needsOf(words);
        if (!needs) return;
        const { suggestion, change } = tell(needs, machines);
        if (!change || suggestion?.includes('busy now')) return;
        const better = needsOf(changed(words, change));
        expect(better).not.toBeNull();
        suggested += 1;
        expect(machines.some((machine) => better && compileNeeds(better).fails(machine) === null)).toBe(true);
      }),
      { numRuns: 500 },
    );
    expect(suggested).toBeGreaterThan(50);
  });

  test('of several machines the one is suggested for which least is given up', () => {
    const machines = [
      testMachine('small', { gpus: [testCard('s', { memoryMib: 16_384 })] }),
      testMachine('big'),
    ];
    expect(tell({ ...anyNeeds, minVramMib: 76_294 }, machines).change).toEqual({
      field: 'vram',
      value: '24GB',
    });
  });
});

describe('what is told', () => {
  test('80 GB on a market of 24 GB cards: how many machines, why, and what would change it', () => {
    const waiting = tell({ ...anyNeeds, minVramMib: 76_294 }, [testMachine('one')]);
    expect(waiting.filters).toEqual([
      { filter: 'vram', excluded: 1, sole: 1, sentence: '1 machine: less than 80 GB of GPU memory' },
    ]);
    expect(waiting.suggestion).toBe(
      'Ask for 24 GB of GPU memory (--vram 24GB). 1 machine would do, such as one (1 × NVIDIA GeForce RTX 4090, 24 GB).',
    );
  });

  test('a job that rests after a spoiled try says why and for how long, and not that it is about to start', () => {
    const backoff = { seconds: 3.2, why: 'The machine could not run the job.' };
    const waiting = explain(anyNeeds, [testMachine('one')], { position: 1, now, ahead: [], backoff });
    expect(waiting.summary).toBe('The machine could not run the job. The job is tried again in 4 s.');
  });

  test('an empty market is told apart from one that is asleep', () => {
    expect(tell(anyNeeds, []).summary).toContain('No machine has joined');
    const asleep = tell(anyNeeds, [testMachine('one', { state: 'offline' })]);
    expect(asleep.summary).toBe('No machine is online.');
    expect(asleep.suggestion).toContain('one');
  });

  test('machines that would fit but take no work are told as that, and not as ones that do not fit', () => {
    const paused = testMachine('one', { availability: 'paused' });
    const waiting = tell(anyNeeds, [busyMachine(paused, 30), testMachine('small', { gpus: [] })]);
    expect(waiting.summary).toBe(
      '1 machine would fit but takes no new work now: paused, draining, offline or not lent at this moment.',
    );
    expect(waiting.suggestion).toBe(
      'Run without a GPU, and leave out what is asked of it (--gpus 0). 1 machine would do, such as small (no GPU).',
    );
    expect(tell(anyNeeds, [paused]).suggestion).toContain('Machine one would do when its owner');
    const used = tell(anyNeeds, [testMachine('one', { ownerAccepts: false })]);
    expect(used.filters.map(({ sentence }) => sentence)).toEqual([
      "1 machine: not lent at this moment, by their owners' rules",
    ]);
    expect(used.suggestion).toBe("Machine one would do when its owner's rules let it work again.");
  });

  test('where more than one thing would have to change, that is said', () => {
    const waiting = tell({ ...anyNeeds, minVramMib: 76_294, regions: ['mars'] }, [
      testMachine('one', { gpus: [testCard('one'), testCard('one')], sharesGpus: true }),
    ]);
    expect(waiting).toMatchObject({ suggestion: 'No single change to the job would do.', change: null });
  });
});

describe('when it starts', () => {
  test('a busy machine is waited for: until its time limit at the latest, and no change is suggested', () => {
    const waiting = tell({ ...anyNeeds, gpuMilli: 1 }, [
      busyMachine(testMachine('one', { sharesGpus: true }), 90),
      busyMachine(testMachine('two', { sharesGpus: true }), 30),
    ]);
    expect(waiting.filters.map(({ filter }) => filter)).toEqual(['busy']);
    expect(waiting.suggestion).toBeNull();
    expect(waiting.summary).toContain('busy');
    expect(waiting.expected_start).toBe('2026-03-01T12:30:00.000Z');
  });

  test('jobs ahead come first, each for as long as it may run', () => {
    const machine = busyMachine(testMachine('one'), 30);
    const other = { ...anyNeeds, timeLimitSeconds: 600 };
    expect(expectedStartMs(anyNeeds, [machine], [])).toBe(30 * 60_000);
    expect(expectedStartMs(anyNeeds, [machine], [other, other])).toBe(50 * 60_000);
    expect(expectedStartMs(anyNeeds, [machine], [{ ...other, gpus: 8 }])).toBe(30 * 60_000);
  });

  test('nothing is promised where no machine fits, or behind a queue too long to count through', () => {
    const machine = busyMachine(testMachine('one'), 30);
    expect(expectedStartMs({ ...anyNeeds, gpus: 8 }, [machine], [])).toBeNull();
    expect(
      expectedStartMs(
        anyNeeds,
        [machine],
        Array.from({ length: 51 }, () => anyNeeds),
      ),
    ).toBeNull();
    expect(tell({ ...anyNeeds, gpus: 8 }, [machine]).expected_start).toBeNull();
  });
});
