import type { JobClass } from '@computefabric/protocol/job-class';

/** What decides the price of a job on a machine. */
export interface PricedNeeds {
  gpus: number;
  /** Share of the GPU, thousandths. */
  gpuMilli: number;
  cpuMilli: number;
  class: JobClass;
}

/** A machine's prices, micros per hour. */
export interface Prices {
  pricePerGpuHourMicros: bigint;
  pricePerCpuHourMicros: bigint;
  /** Percent of these that a spot job pays. */
  spotPercent: number;
}

const MS_PER_HOUR = 3_600_000n;

/**
 * Units that a job pays for, in thousandths: its GPUs, or its cores when it asks for none. A GPU's price
 * includes the cores and memory beside it.
 */
export function pricedMilliUnits(needs: PricedNeeds): bigint {
  return needs.gpus > 0 ? BigInt(needs.gpus * needs.gpuMilli) : BigInt(needs.cpuMilli);
}

/** A unit price (per GPU-hour or core-hour) for the whole job, micros per hour; fractions of a micro round up. */
export function wholeRateMicros(needs: PricedNeeds, unitPriceMicros: bigint): bigint {
  return divideUp(pricedMilliUnits(needs) * unitPriceMicros, 1_000n);
}

/** The unit price that a machine asks of such a job, micros per hour; fractions of a micro round up. */
export function unitPriceMicros(needs: PricedNeeds, prices: Prices): bigint {
  const full = needs.gpus > 0 ? prices.pricePerGpuHourMicros : prices.pricePerCpuHourMicros;
  return needs.class === 'spot' ? divideUp(full * BigInt(prices.spotPercent), 100n) : full;
}

/** Price of the whole job on a machine, micros per hour. */
export function ratePerHourMicros(needs: PricedNeeds, prices: Prices): bigint {
  return wholeRateMicros(needs, unitPriceMicros(needs, prices));
}

/** Cost of metered milliseconds at a rate; fractions of a micro are the renter's gain. */
export function costMicros(billedMs: number, rateMicrosPerHour: bigint): bigint {
  return (BigInt(billedMs) * rateMicrosPerHour) / MS_PER_HOUR;
}

/** How long a job may run at a rate before it costs more than this, ms; null for as long as it likes. */
export function affordableMs(micros: bigint, rateMicrosPerHour: bigint): number | null {
  if (rateMicrosPerHour === 0n) return null;
  const ms = (micros * MS_PER_HOUR) / rateMicrosPerHour;
  return ms > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(ms);
}

/** The most that a job of this length can cost: never less than any bill of it. */
export function holdMicros(rateMicrosPerHour: bigint, timeLimitSeconds: number): bigint {
  return divideUp(BigInt(timeLimitSeconds) * 1_000n * rateMicrosPerHour, MS_PER_HOUR);
}

/** Splits a cost: the market keeps `feeBps` ten-thousandths (rounded down), the owner earns the rest. */
export function splitCost(cost: bigint, feeBps: number): { earnedMicros: bigint; feeMicros: bigint } {
  const feeMicros = (cost * BigInt(feeBps)) / 10_000n;
  return { earnedMicros: cost - feeMicros, feeMicros };
}

function divideUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
