import type { CostReading } from '../types/cost-view.ts';
import { costAfter } from './cost-ticker.ts';

export interface CostFacts {
  holdMicros: bigint;
  timeLimitSeconds: number;
  /** All tries. The cost of one is settled when it ends; before that it follows from its times. */
  leases: readonly {
    pricePerHourMicros: bigint;
    startedAt: Date | null;
    exitedAt: Date | null;
    endedAt: Date | null;
    /** Since when its machine is silent, and earlier silences while it ran: they are not billed. */
    silentAt: Date | null;
    silentMs: number;
    costMicros: bigint;
  }[];
}

/** What a job has cost at `now` (the database's clock), and whether and how fast that grows. */
export function readCost(facts: CostFacts, now: Date): CostReading {
  const settledMicros = facts.leases.reduce((sum, lease) => sum + lease.costMicros, 0n);
  const open = facts.leases.findLast((lease) => lease.endedAt === null);
  const microsPerHour = open?.pricePerHourMicros ?? 0n;
  const reading: CostReading = {
    accruedMicros: settledMicros,
    microsPerHour,
    billable: false,
    capMicros: facts.holdMicros,
  };
  if (!open?.startedAt) return reading;
  const limitMs = facts.timeLimitSeconds * 1_000;
  const { startedAt, silentAt, silentMs } = open;
  const heardUntil = silentAt && !open.exitedAt ? silentAt : (open.exitedAt ?? now);
  const ranMs = heardUntil.getTime() - startedAt.getTime() - silentMs;
  const accruedMicros = costAfter({ ...reading, billable: true }, Math.min(Math.max(ranMs, 0), limitMs));
  return {
    ...reading,
    accruedMicros,
    billable: open.exitedAt === null && silentAt === null && ranMs < limitMs,
  };
}
