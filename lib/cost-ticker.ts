import type { CostReading } from '../types/cost-view.ts';

const msPerHour = 3_600_000n;

/**
 * The cost `elapsedMs` milliseconds after the reading was taken. Whole micros, rounded down, so that the
 * display never shows more than what will be billed; never above the job's cap.
 */
export function costAfter(reading: CostReading, elapsedMs: number): bigint {
  if (!reading.billable || elapsedMs <= 0) return reading.accruedMicros;
  const cost = reading.accruedMicros + (reading.microsPerHour * BigInt(Math.floor(elapsedMs))) / msPerHour;
  return reading.capMicros !== null && cost > reading.capMicros ? reading.capMicros : cost;
}

/** A step back of this size or less is a rounding or network artefact and is not shown. */
const toleranceMs = 2_000n;

/**
 * What to show now, given what was shown before: a fresh reading that is behind the display by no more than
 * two seconds of cost holds the display still instead of turning it back. A larger correction is shown.
 */
export function steadyCost(reading: CostReading, elapsedMs: number, shownMicros: bigint): bigint {
  const cost = costAfter(reading, elapsedMs);
  if (!reading.billable) return cost;
  const tolerance = (reading.microsPerHour * toleranceMs) / msPerHour;
  return cost < shownMicros && shownMicros - cost <= tolerance ? shownMicros : cost;
}
