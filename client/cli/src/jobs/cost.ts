import { formatUsd } from '@computefabric/protocol/money';
import type { JobSummary, JobView } from '@computefabric/protocol/user-api/jobs';

type Cost = JobSummary['cost'];

/** Micros as the API writes them, for people. */
export function money(micros: string | bigint): string {
  return formatUsd(BigInt(micros));
}

/** How a bill came about: `10.0 s × $0.34/h = $0.000944`. */
export function billText(job: JobView): string {
  const billed = job.leases.filter((lease) => lease.billed_ms > 0);
  const seconds = `${(job.cost.billed_ms / 1_000).toFixed(1)} s`;
  const total = money(job.cost.accrued_micros);
  const [only] = billed;
  const sum =
    billed.length === 0
      ? `${total}: nothing was billed`
      : billed.length === 1 && only
        ? `${seconds} × ${money(only.price_per_hour_micros)}/h = ${total}`
        : `${seconds} in ${billed.length} tries = ${total}`;
  return job.cost.play_money ? `${sum} (play money)` : sum;
}

/** `per second, $0.34/h` or `not billed`: every state says whether money is moving. */
export function billingLabel(cost: Cost): string {
  if (!cost.billable) return 'not billed';
  return cost.rate_per_hour_micros === null ? 'billed' : `billed, ${money(cost.rate_per_hour_micros)}/h`;
}
