import type { Estimate } from '@computefabric/protocol/user-api/quotes';
import { costMicros } from './price.ts';

export interface EstimateInput {
  now: Date;
  timeLimitSeconds: number;
  /** The most that it may cost. */
  holdMicros: bigint;
  /** What machines that could take it ask, micros per hour, in any order; empty when none can. */
  ratesPerHourMicros: readonly bigint[];
  /** The price limit for the whole job, micros per hour. */
  highestRateMicros: bigint;
  /** Seconds that ended runs of the same image and command took, and waited for, in any order. */
  pastRuns: readonly { runSeconds: number; waitSeconds: number }[];
  /** When a machine is free, if none is now and that can be said. */
  expectedStart: Date | null;
}

/** With fewer runs than this what is between the shortest and the longest says little: the range is widened. */
const enoughRuns = 5;
const widened = { low: 0.8, high: 1.25 };
/** Of many runs the shortest and the longest tenth are left out. */
const quantiles = { low: 0.1, high: 0.9 };

/**
 * What to expect of a job, as ranges: how long it runs from earlier runs of the same program, or, honestly, anything
 * up to its limit; what it costs from that and the prices of the machines that could take it. Never above the limits.
 */
export function estimateJob(input: EstimateInput): Estimate {
  const { now, timeLimitSeconds, pastRuns } = input;
  const run =
    pastRuns.length === 0
      ? { low: 0, high: timeLimitSeconds }
      : rangeOf(pastRuns.map(({ runSeconds }) => runSeconds));
  const [runLow, runHigh] = [run.low, run.high].map((seconds) =>
    Math.min(Math.max(Math.round(seconds), 0), timeLimitSeconds),
  ) as [number, number];
  const rates = input.ratesPerHourMicros.length > 0 ? input.ratesPerHourMicros : [input.highestRateMicros];
  const inOrder = rates.toSorted((a, b) => (a < b ? -1 : 1));
  const lowest = inOrder.at(0) ?? input.highestRateMicros;
  const highest = inOrder.at(-1) ?? input.highestRateMicros;
  const atMostTheHold = (cost: bigint) => String(cost < input.holdMicros ? cost : input.holdMicros);
  const wait = waitOf(input);
  const at = (seconds: number) => new Date(now.getTime() + seconds * 1_000).toISOString();
  return {
    cost_low_micros: atMostTheHold(costMicros(runLow * 1_000, lowest)),
    cost_high_micros: atMostTheHold(costMicros(runHigh * 1_000, highest)),
    run_low_seconds: runLow,
    run_high_seconds: runHigh,
    wait_low_seconds: wait.low,
    wait_high_seconds: wait.high,
    finish_earliest: wait.low === null ? null : at(wait.low + runLow),
    finish_latest: wait.high === null ? null : at(wait.high + runHigh),
    past_runs: pastRuns.length,
  };
}

/**
 * Seconds until the program runs. Where a machine is free, from how long earlier ones took to get an image and to
 * start; without any the longest wait cannot be said. Where none is free, from when one is.
 */
function waitOf(input: EstimateInput): { low: number | null; high: number | null } {
  const past = input.pastRuns.length === 0 ? null : rangeOf(input.pastRuns.map((run) => run.waitSeconds));
  if (input.ratesPerHourMicros.length > 0) return { low: 0, high: past && Math.ceil(past.high) };
  if (input.expectedStart === null) return { low: null, high: null };
  const seconds = Math.max(0, Math.ceil((input.expectedStart.getTime() - input.now.getTime()) / 1_000));
  return { low: 0, high: seconds };
}

function rangeOf(values: readonly number[]): { low: number; high: number } {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length >= enoughRuns) {
    return { low: quantile(sorted, quantiles.low), high: quantile(sorted, quantiles.high) };
  }
  return { low: (sorted[0] ?? 0) * widened.low, high: (sorted.at(-1) ?? 0) * widened.high };
}

/** Between the two values around the place. */
function quantile(sorted: readonly number[], part: number): number {
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)] ?? 0;
  const above = sorted[Math.ceil(place)] ?? below;
  return below + (above - below) * (place - Math.floor(place));
}
