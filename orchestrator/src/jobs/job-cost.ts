import { jobMachine } from '@computefabric/protocol/job-state';
import { CURRENCY } from '@computefabric/protocol/money';
import type { PaymentState } from '@computefabric/protocol/payment-state';
import type { jobCost } from '@computefabric/protocol/user-api/jobs';
import type { z } from 'zod';
import type { LeaseRow } from '../leases/lease.store.ts';
import { leftSeconds, meteredMs } from '../metering/usage.ts';
import { costMicros } from '../pricing/price.ts';
import type { JobRow } from './job.store.ts';

/** What a try has cost by `now`: its frozen bill once it has ended, until then what the meter shows. */
export function leaseBill(
  lease: LeaseRow,
  job: Pick<JobRow, 'timeLimitSeconds'> & Partial<Pick<JobRow, 'leaseId' | 'usedMs'>>,
  now: Date,
): { billedMs: number; costMicros: bigint } {
  // Of a silent try and its replacement only one will be billed: until that is known, the one that has the job.
  const isMetered = lease.state === 'active' || (lease.state === 'silent' && job.leaseId === lease.id);
  if (!isMetered) return { billedMs: lease.billedMs, costMicros: lease.costMicros };
  const billedMs = meteredMs({ ...lease, now, timeLimitSeconds: leftSeconds({ usedMs: 0, ...job }) });
  return { billedMs, costMicros: costMicros(billedMs, lease.pricePerHourMicros) };
}

/** A job's money at the moment `now` of the database's clock. `leases`: all its tries, oldest first. */
export function costOf(
  job: JobRow,
  leases: readonly LeaseRow[],
  { now, playMoney, paymentState }: { now: Date; playMoney: boolean; paymentState: PaymentState },
): z.output<typeof jobCost> {
  const bills = leases.map((lease) => leaseBill(lease, job, now));
  const accrued = bills.reduce((sum, bill) => sum + bill.costMicros, 0n);
  const latest = leases.at(-1);
  // Between two tries there is no price; after the end the last one's stays to explain the bill.
  const priced = latest && (job.leaseId === latest.id || jobMachine.isTerminal(job.state)) ? latest : null;
  return {
    currency: CURRENCY,
    play_money: playMoney,
    hold_micros: String(job.holdMicros),
    accrued_micros: String(accrued > job.holdMicros && job.maxCostMicros !== null ? job.holdMicros : accrued),
    billed_ms: bills.reduce((sum, bill) => sum + bill.billedMs, 0),
    rate_per_hour_micros: priced ? String(priced.pricePerHourMicros) : null,
    billable: leases.some(
      (lease) => lease.state === 'active' && lease.startedAt !== null && lease.exitedAt === null,
    ),
    as_of: now.toISOString(),
    payment_state: paymentState,
  };
}
