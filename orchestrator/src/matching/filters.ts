import { isVersionAtLeast, type Version } from '@computefabric/protocol/grammar/versions';
import { formatPercent, formatShare } from '@computefabric/protocol/grammar/quantities';
import { formatAsked, formatSizeRange } from '@computefabric/protocol/grammar/sizes';
import { formatUsd } from '@computefabric/protocol/money';
import { trustTiers } from '@computefabric/protocol/trust-tier';
import { unitPriceMicros } from '../pricing/price.ts';
import { type Card, type CardRule, cardRule, floorOf } from './card-rule.ts';
import type { JobNeeds, MachineView } from './machine-view.ts';

export type FilterName =
  | 'online'
  | 'availability'
  | 'owner'
  | 'region'
  | 'tier'
  | 'reliability'
  | 'price'
  | 'gpus'
  | 'gpu-model'
  | 'vram'
  | 'compute-capability'
  | 'driver'
  | 'cuda'
  | 'sharing'
  | 'network'
  | 'cpus'
  | 'memory'
  | 'disk'
  | 'away'
  | 'resting'
  | 'busy';

/** A rule that a machine must satisfy, with the words for those that fail it. */
export interface Filter {
  name: FilterName;
  /** Depends on what the machine does at this moment, and not only on what it is and offers. */
  momentary?: boolean;
  fails(machine: MachineView, asked: CompiledNeeds): boolean;
  /** Ends a sentence that begins with a number of machines. */
  sentence(needs: JobNeeds): string;
}

/** What a job asks, with everything read once that does not depend on the machine. */
export interface CompiledNeeds {
  readonly needs: JobNeeds;
  readonly cards: CardRule;
  readonly cuda: Version | null;
  readonly tierRank: number;
  /** How long the machine has to be there. */
  readonly stayMs: number;
  /** The first rule that the machine fails; null when the job could start there now. */
  fails(machine: MachineView): Filter | null;
  /** All of them. */
  failures(machine: MachineView): Filter[];
}

/**
 * The rules of a job in the form in which many machines are asked: versions and models are read once. Machines
 * that do not say what a rule asks for fail it: an unknown driver reaches no floor.
 */
export function compileNeeds(needs: JobNeeds): CompiledNeeds {
  const known = compiled.get(needs);
  if (known) return known;
  const asked: CompiledNeeds = {
    needs,
    cards: cardRule(needs),
    cuda: floorOf(needs.minCuda),
    tierRank: trustTiers.indexOf(needs.minTier),
    stayMs: staySeconds(needs) * 1_000,
    fails(machine) {
      for (const filter of otherFilters) if (filter.fails(machine, asked)) return filter;
      return hasTooFewCards(machine, asked)
        ? (cardFilters.find((filter) => filter.fails(machine, asked)) ?? null)
        : null;
    },
    failures: (machine) => filters.filter((filter) => filter.fails(machine, asked)),
  };
  compiled.set(needs, asked);
  return asked;
}

const compiled = new WeakMap<JobNeeds, CompiledNeeds>();

/** The rules that a machine fails for a job; none means that it could start there now. */
export function failedFilters(machine: MachineView, needs: JobNeeds): Filter[] {
  return compileNeeds(needs).failures(machine);
}

/** Whether a machine that fails these will do by itself, once what it does now is over. */
export function onlyWaits(failures: readonly Filter[]): boolean {
  return failures.length > 0 && failures.every(({ name }) => name === 'busy' || name === 'resting');
}

/** Least stay on a machine that is worth the move when the job's state is saved, seconds. */
const leastStaySeconds = 600;

/** A job whose state is saved can move on when its machine leaves; another one must be able to end before. */
function staySeconds({ timeLimitSeconds, checkpoint }: JobNeeds): number {
  if (checkpoint === null) return timeLimitSeconds;
  return Math.min(timeLimitSeconds, Math.max(leastStaySeconds, 2 * checkpoint.every_seconds));
}

/**
 * All rules, those first that cost least to ask. `busy` speaks only of machines that would fit when idle: one
 * that fails only it will do once something ends.
 */
export const filters: readonly Filter[] = [
  {
    name: 'online',
    fails: (machine) => machine.state !== 'online',
    sentence: () => 'not online',
  },
  {
    name: 'availability',
    fails: (machine) => machine.availability !== 'open',
    sentence: () => 'paused or draining',
  },
  {
    name: 'owner',
    momentary: true,
    fails: (machine) => !machine.ownerAccepts,
    sentence: () => "not lent at this moment, by their owners' rules",
  },
  {
    name: 'region',
    fails: (machine, { needs }) => needs.regions.length > 0 && !needs.regions.includes(machine.region),
    sentence: (needs) => `not in ${needs.regions.join(' or ')}`,
  },
  {
    name: 'tier',
    fails: (machine, { tierRank }) => tierRank > 0 && trustTiers.indexOf(machine.tier) < tierRank,
    sentence: (needs) => `not ${needs.minTier}`,
  },
  {
    name: 'reliability',
    fails: (machine, { needs }) => machine.reliabilityMilli < needs.minReliabilityMilli,
    sentence: (needs) => `less reliable than ${formatPercent(needs.minReliabilityMilli / 1_000)}`,
  },
  {
    name: 'price',
    fails: (machine, { needs }) => unitPriceMicros(needs, machine) > needs.maxPricePerHourMicros,
    sentence: (needs) =>
      `dearer than ${formatUsd(needs.maxPricePerHourMicros)} per ${needs.gpus > 0 ? 'GPU' : 'core'}-hour`,
  },
  {
    name: 'gpus',
    fails: (machine, { needs }) => machine.gpus.length < needs.gpus,
    sentence: (needs) => `fewer than ${needs.gpus} GPU${needs.gpus === 1 ? '' : 's'}`,
  },
  {
    name: 'gpu-model',
    fails: (machine, asked) => tooFewCards(machine, asked, 'isModel'),
    sentence: (needs) => `no ${needs.gpuModels.join(' or ')}`,
  },
  {
    name: 'vram',
    fails: (machine, asked) => tooFewCards(machine, asked, 'hasMemory'),
    sentence: ({ minVramMib, maxVramMib }) =>
      maxVramMib === null
        ? `less than ${formatAsked(minVramMib)} of GPU memory`
        : `GPU memory is not within ${formatSizeRange({ fromMib: minVramMib, toMib: maxVramMib })}`,
  },
  {
    name: 'compute-capability',
    fails: (machine, asked) => tooFewCards(machine, asked, 'hasCapability'),
    sentence: (needs) => `compute capability is not known to be ${needs.minComputeCapability} or more`,
  },
  {
    name: 'driver',
    fails: (machine, asked) => tooFewCards(machine, asked, 'hasDriver'),
    sentence: (needs) => `GPU driver is not known to be ${needs.minDriver} or newer`,
  },
  {
    name: 'cuda',
    fails: (machine, { needs, cuda }) =>
      needs.gpus > 0 && cuda !== null && !isVersionAtLeast(machine.cudaVersion, cuda),
    sentence: (needs) => `CUDA version is not known to be ${needs.minCuda} or newer`,
  },
  {
    name: 'sharing',
    fails: (machine, { needs }) => needs.gpuMilli < 1_000 && machine.gpus.length > 0 && !machine.sharesGpus,
    sentence: (needs) => `GPUs are not shared (asked for ${formatShare(needs.gpuMilli)} of one)`,
  },
  {
    name: 'network',
    fails: (machine, { needs }) => !machine.networks.includes(needs.networkMode),
    sentence: (needs) =>
      needs.networkMode === 'internet'
        ? 'jobs get no internet there (a job that needs none says so: network none)'
        : needs.networkMode === 'allowlist'
          ? 'jobs cannot be let out to named servers there'
          : 'jobs cannot be kept off the network there',
  },
  {
    name: 'cpus',
    fails: (machine, { needs }) => machine.cpuMilli < needs.cpuMilli,
    sentence: (needs) => `fewer than ${needs.cpuMilli / 1_000} CPU cores`,
  },
  {
    name: 'memory',
    fails: (machine, { needs }) => machine.memoryMib < needs.memoryMib,
    sentence: (needs) => `less than ${formatAsked(needs.memoryMib)} of memory`,
  },
  {
    name: 'disk',
    momentary: true,
    fails: (machine, { needs }) => needs.diskMib > 0 && machine.diskMibFree < needs.diskMib,
    sentence: (needs) => `less than ${formatAsked(needs.diskMib)} of disk free`,
  },
  {
    name: 'away',
    momentary: true,
    fails: (machine, { stayMs }) => machine.awayInMs !== null && machine.awayInMs < stayMs,
    sentence: () => 'taken back by the owner before the job could end',
  },
  {
    name: 'resting',
    momentary: true,
    fails: (machine) => machine.restsInMs !== null,
    sentence: () => 'resting for a moment after an offer that was not taken',
  },
  {
    name: 'busy',
    momentary: true,
    fails: isBusy,
    sentence: () => 'busy with other jobs',
  },
];

const aboutCards: ReadonlySet<FilterName> = new Set(['gpu-model', 'vram', 'compute-capability', 'driver']);
const cardFilters = filters.filter(({ name }) => aboutCards.has(name));
const otherFilters = filters.filter(({ name }) => !aboutCards.has(name));

function hasTooFewCards(machine: MachineView, { needs: { gpus }, cards }: CompiledNeeds): boolean {
  if (gpus === 0 || machine.gpus.length < gpus) return false;
  let suiting = 0;
  for (const card of machine.gpus) if (cards.suits(card)) suiting += 1;
  return suiting < gpus;
}

/** The questions about cards, in the order in which they narrow the choice. */
const questions = ['isModel', 'hasMemory', 'hasCapability', 'hasDriver'] as const;

/**
 * Whether this question is one of those for which a machine with enough cards has not enough of them. Each is
 * asked of the cards that are left by the questions before it, unless those left too few, so that a machine with
 * a big wrong card and a small right one is told to fail, and fails none only when the same cards pass all.
 */
function tooFewCards(
  machine: MachineView,
  asked: CompiledNeeds,
  question: (typeof questions)[number],
): boolean {
  if (!hasTooFewCards(machine, asked)) return false;
  const { needs, cards } = asked;
  let pool: readonly Card[] = machine.gpus;
  for (const step of questions) {
    const passed = pool.filter((card) => cards[step](card));
    if (step === question) return passed.length < needs.gpus;
    if (passed.length >= needs.gpus) pool = passed;
  }
  return false;
}

function isBusy(machine: MachineView, { needs, cards }: CompiledNeeds): boolean {
  if (machine.cpuMilli < needs.cpuMilli || machine.memoryMib < needs.memoryMib) return false;
  let fitting = 0;
  let free = 0;
  if (needs.gpus > 0) {
    for (const card of machine.gpus) {
      if (!cards.suits(card)) continue;
      fitting += 1;
      if (card.freeMilli >= needs.gpuMilli) free += 1;
    }
  }
  if (fitting < needs.gpus) return false;
  return (
    free < needs.gpus || machine.cpuMilliFree < needs.cpuMilli || machine.memoryMibFree < needs.memoryMib
  );
}
