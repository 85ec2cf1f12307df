import type { Db } from '@computefabric/db/client';
import { newId } from '@computefabric/protocol/ids';
import { formatUsd } from '@computefabric/protocol/money';
import { notify } from '../background/signals.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { assignJob, lockJob } from '../jobs/job.store.ts';
import type { Placement } from '../matching/match.ts';
import { ratePerHourMicros, unitPriceMicros } from '../pricing/price.ts';
import { arePresent, lockOnlineProvider } from '../providers/provider.store.ts';
import { insertOffer, sumOpenLeases } from './lease.store.ts';
import type { LeaseSettings } from './lease-deps.ts';

/** The view behind the proposal was old. */
class StalePlacement extends Error {}

/**
 * Makes a proposal true: locks job and machine, checks once more that the job waits and that the machine has
 * the room at no higher a price than the job allows, reserves the GPUs and writes the offer. Two matchers may
 * propose; only one grant of a job, and of a GPU, can win.
 */
export async function grantLease(
  db: Db,
  settings: LeaseSettings,
  placement: Placement,
): Promise<'granted' | 'stale'> {
  try {
    await db.transaction(async (tx) => {
      const job = await lockJob(tx, placement.jobId);
      if (job?.state !== 'queued') throw new StalePlacement();
      const machine = await lockOnlineProvider(tx, placement.providerId);
      if (!machine || unitPriceMicros(job, machine) > job.maxPricePerHourMicros) throw new StalePlacement();
      const used = await sumOpenLeases(tx, machine.id);
      if (used.cpuMilli + job.cpuMilli > machine.cpuMilli) throw new StalePlacement();
      if (used.memoryMib + job.memoryMib > machine.memoryMib) throw new StalePlacement();
      if (used.diskMib + job.diskMib > machine.diskFreeMib) throw new StalePlacement();
      const mostTaken = 1_000 - job.gpuMilli;
      if (placement.gpuIds.some((id) => (used.gpuMilli.get(id) ?? 0) > mostTaken)) throw new StalePlacement();
      if (!(await arePresent(tx, machine.id, placement.gpuIds))) throw new StalePlacement();

      const leaseId = newId('lease');
      const assigned = await assignJob(tx, job.id, leaseId);
      if (!assigned) throw new StalePlacement();
      const lease = await insertOffer(
        tx,
        {
          id: leaseId,
          jobId: job.id,
          providerId: machine.id,
          attempt: assigned.attempt,
          pricePerHourMicros: ratePerHourMicros(job, machine),
          gpuIds: placement.gpuIds,
          gpuMilli: job.gpuMilli,
          cpuMilli: job.cpuMilli,
          memoryMib: job.memoryMib,
          diskMib: job.diskMib,
          spot: job.class === 'spot',
          resumedFrom: job.checkpointId,
        },
        settings.offerSeconds,
      );
      await appendJobEvent(tx, {
        jobId: job.id,
        type: 'matched',
        message: `Offered to ${machine.name} at ${formatUsd(lease.pricePerHourMicros)} per hour.`,
        leaseId,
        data: { provider_id: machine.id, price_per_hour_micros: lease.pricePerHourMicros.toString() },
      });
      await notify(tx, 'cf_provider', machine.id);
    });
    return 'granted';
  } catch (thrown) {
    if (thrown instanceof StalePlacement) return 'stale';
    throw thrown;
  }
}
