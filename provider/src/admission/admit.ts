import { limits } from '@computefabric/protocol/limits';
import type { NetworkMode } from '@computefabric/protocol/network';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import type { OwnerPrices } from '../config.ts';
import { claimGpus, type GpuAllocation } from '../container/gpu-allocator.ts';

/** What the machine has and what its owner asks, as they were announced. */
export interface OwnerTerms {
  prices: OwnerPrices;
  cpus: number;
  memoryMib: number;
  gpuUuids: readonly string[];
  /** Several jobs may have parts of one GPU. */
  sharesGpus: boolean;
  /** Percent of the prices that a spot job pays. */
  spotPercent: number;
  /** What tasks may reach from here. */
  networks: readonly NetworkMode[];
}

/** What tasks on the machine take already. */
export interface TakenResources {
  tasks: number;
  cpus: number;
  memoryMib: number;
  gpus: GpuAllocation;
}

export type Admission = { kind: 'take' } | { kind: 'decline'; reason: string };

/** The owner's own judgement of an offer; the market's word is not enough to use somebody's machine. */
export function admit(offer: TaskSpec, terms: OwnerTerms, taken: TakenResources): Admission {
  const reason = malformed(offer) ?? doesNotFit(offer, terms, taken) ?? paysTooLittle(offer, terms);
  return reason === null ? { kind: 'take' } : { kind: 'decline', reason };
}

/** The parts of a job that reach the engine have to be what any renter may ask for, whoever sends them. */
function malformed(offer: TaskSpec): string | null {
  const { image, command, env, network } = jobSpec.shape;
  const parts = [
    ['image', image.safeParse(offer.image)],
    ['command', command.safeParse(offer.command)],
    ['env', env.safeParse(offer.env)],
    ['network', network.safeParse(offer.network)],
  ] as const;
  for (const [name, parsed] of parts) {
    if (!parsed.success) return `${name}: ${parsed.error.issues[0]?.message ?? 'is not valid'}`;
  }
  if (!areMarketVariables(offer.variables)) return 'a variable is not one that the market may set';
  const { min, max } = limits.timeLimitSeconds;
  if (offer.time_limit_seconds < min || offer.time_limit_seconds > max)
    return 'the time limit is out of range';
  if (offer.stop_grace_seconds < 0 || offer.stop_grace_seconds > longestGraceSeconds)
    return 'the grace time is out of range';
  return null;
}

/** What the market may set beside the job's own variables: names that no job can set, and no program obeys. */
const marketVariable = /^COMPUTEFABRIC_[A-Z][A-Z_]{0,62}$/;
/** The peers of the largest gang, with their names. */
const longestVariableChars = 16_384;
const mostVariables = 32;

function areMarketVariables(variables: TaskSpec['variables']): boolean {
  const all = Object.entries(variables);
  return (
    all.length <= mostVariables &&
    all.every(
      ([name, value]) =>
        marketVariable.test(name) && value.length <= longestVariableChars && !value.includes('\u0000'),
    )
  );
}

/** A program that is asked to stop cannot hold the owner's machine for longer. */
export const longestGraceSeconds = limits.stopGraceSeconds.max;

/** What one heartbeat can tell of is 256; some room is left for those that are being cleaned up. */
const mostTasks = 200;

function doesNotFit(offer: TaskSpec, terms: OwnerTerms, taken: TakenResources): string | null {
  if (taken.tasks >= mostTasks) return 'the machine has as many tasks as it can report about';
  if (!(offer.cpus > 0) || offer.cpus > terms.cpus - taken.cpus + roundingCpus)
    return 'not enough CPU cores are free';
  if (offer.memory_mib < 16 || offer.memory_mib > terms.memoryMib - taken.memoryMib)
    return 'not enough memory is free';
  if (!terms.networks.includes(offer.network.mode))
    return `jobs get no network of the kind ${offer.network.mode}`;
  if (new Set(offer.gpu_uuids).size !== offer.gpu_uuids.length) return 'a GPU is named twice';
  if (offer.gpu_milli < 1_000 && !terms.sharesGpus) return 'the owner does not share GPUs';
  if (!(offer.gpu_milli >= 1) || offer.gpu_milli > 1_000) return 'a GPU has 1 to 1000 thousandths';
  const claim = claimGpus(
    taken.gpus,
    new Set(terms.gpuUuids),
    offer.lease_id,
    offer.gpu_uuids,
    offer.gpu_milli,
  );
  switch (claim.kind) {
    case 'claimed':
      return null;
    case 'unknown':
      return `there is no GPU ${claim.uuid}`;
    case 'taken':
      return `GPU ${claim.uuid} is in use`;
  }
}

/** Fractions of a core are sums of decimals: 0.1 + 0.2 must fit into 0.3. */
const roundingCpus = 0.001;

function paysTooLittle(offer: TaskSpec, terms: OwnerTerms): string | null {
  return BigInt(offer.price_per_hour_micros) < leastPriceMicros(offer, terms)
    ? 'the price is below what the owner asks'
    : null;
}

/**
 * What the owner asks of such a job, micros per hour: by GPU or the share of one, or by core when it takes none;
 * of a spot job the owner's part of that. Rounded as the market rounds, so that both always agree.
 */
export function leastPriceMicros(
  offer: Pick<TaskSpec, 'cpus' | 'gpu_uuids' | 'gpu_milli' | 'class'>,
  { prices, spotPercent }: Pick<OwnerTerms, 'prices' | 'spotPercent'>,
): bigint {
  const usesGpus = offer.gpu_uuids.length > 0;
  const full = usesGpus ? prices.perGpuHourMicros : prices.perCpuHourMicros;
  const unit = offer.class === 'spot' ? divideUp(full * BigInt(spotPercent), 100n) : full;
  const milliUnits = usesGpus ? offer.gpu_uuids.length * offer.gpu_milli : Math.round(offer.cpus * 1_000);
  return divideUp(BigInt(milliUnits) * unit, 1_000n);
}

function divideUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
