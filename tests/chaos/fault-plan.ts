import { Seeded } from './seeded.ts';

/** What can be done to a part of the system. Times are milliseconds; `forMs` is until it is put right. */
export type Fault = { number: number; gapMs: number; forMs: number } & (
  | { kind: 'kill-orchestrator'; which: number }
  /** `guard`: what becomes of the watchdog at the same moment. */
  | { kind: 'kill-provider'; which: number; guard: 'lives' | 'dies' }
  /** The whole server at once, or its parent process alone, whose children then find out by themselves. */
  | { kind: 'kill-database'; how: 'server' | 'parent' }
  | { kind: 'freeze-orchestrator'; which: number }
  | { kind: 'freeze-provider'; which: number; guard: 'lives' | 'freezes' }
  | { kind: 'freeze-database' }
  /** All connections between a machine and the market: reset at once, held without a byte, or refused. */
  | { kind: 'cut-provider'; which: number; how: 'reset' | 'stall' | 'refuse' }
  | { kind: 'cut-database'; which: number; how: 'reset' | 'stall' | 'refuse' }
  | { kind: 'fill-disk' }
);

export type FaultKind = Fault['kind'];

export interface PlanOptions {
  seed: number;
  /** How many times something is killed with SIGKILL; other faults come between them. */
  kills: number;
  orchestrators: number;
  providers: number;
  /** Other faults for each kill. */
  othersPerKill: number;
  leaseTtlMs: number;
  /** Mean time from one fault to the next. */
  meanGapMs: number;
  /** Whether the first machine's disk is small enough to be filled. */
  canFillDisk: boolean;
}

/**
 * The storm as a list, made before anything starts: which fault, when, on whom and for how long. Of the kills
 * two fifths hit an orchestrator, two fifths a machine and one fifth the database, in random order; of the rest
 * about a third lasts longer than a lease, so that others take over and the victim returns late.
 */
export function planFaults(options: PlanOptions): Fault[] {
  const { kills, othersPerKill, meanGapMs } = options;
  const random = new Seeded(options.seed);
  const killed = Array.from({ length: kills }, (_, index) => killOf(index % 5, options, random));
  const others = Array.from({ length: Math.round(kills * othersPerKill) }, () => otherOf(options, random));
  return random.shuffled([...killed, ...others]).map((fault, index) => ({
    ...fault,
    number: index + 1,
    gapMs: Math.round(random.between(0.3 * meanGapMs, 1.7 * meanGapMs)),
  }));
}

type Unplaced = Fault extends infer F ? (F extends Fault ? Omit<F, 'number' | 'gapMs'> : never) : never;

function killOf(turn: number, options: PlanOptions, random: Seeded): Unplaced {
  if (turn < 2) {
    const which = random.whole(0, options.orchestrators - 1);
    return { kind: 'kill-orchestrator', which, forMs: shortTime(random) };
  }
  if (turn < 4) {
    const which = random.whole(0, options.providers - 1);
    const guard = random.chance(0.3) ? 'dies' : 'lives';
    return { kind: 'kill-provider', which, guard, forMs: time(options, random) };
  }
  const how = random.pick(['server', 'parent'] as const);
  return { kind: 'kill-database', how, forMs: shortTime(random) };
}

function otherOf(options: PlanOptions, random: Seeded): Unplaced {
  const orchestrator = random.whole(0, options.orchestrators - 1);
  const provider = random.whole(0, options.providers - 1);
  const how = random.pick(['reset', 'stall', 'refuse'] as const);
  const guard = random.chance(0.5) ? 'freezes' : 'lives';
  const forMs = time(options, random);
  const kind = random.pick([
    'freeze-orchestrator',
    'freeze-provider',
    'freeze-provider',
    'freeze-database',
    'cut-provider',
    'cut-provider',
    'cut-database',
    'fill-disk',
  ] as const);
  switch (kind) {
    case 'freeze-orchestrator':
      return { kind, which: orchestrator, forMs };
    case 'freeze-provider':
      return { kind, which: provider, guard, forMs };
    case 'freeze-database':
      return { kind, forMs: shortTime(random) };
    case 'cut-provider':
      return { kind, which: provider, how, forMs };
    case 'cut-database':
      return { kind, which: orchestrator, how, forMs };
    case 'fill-disk':
      return options.canFillDisk ? { kind, forMs } : { kind: 'cut-provider', which: provider, how, forMs };
  }
}

function shortTime(random: Seeded): number {
  return Math.round(random.between(0, 1_500));
}

/** Two in three far shorter than a lease, the rest longer. */
function time({ leaseTtlMs }: PlanOptions, random: Seeded): number {
  return random.chance(0.67)
    ? shortTime(random)
    : Math.round(random.between(0.8 * leaseTtlMs, 2 * leaseTtlMs));
}
