import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { TaskAnswer } from '@computefabric/protocol/provider-api/v1/session';
import { type RenewedLease, type ReportedTask, renewLease } from '../leases/heartbeat.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { reviveLease } from '../leases/silent-lease.ts';

/**
 * A machine says that it still has a try: keeps the lease for another term, after bringing it back when the
 * machine had fallen silent and the job wants it so. Null: the try is not this machine's any more.
 */
export async function keepAlive(
  deps: LeaseDeps,
  providerId: ProviderId,
  task: ReportedTask,
): Promise<RenewedLease | null> {
  const ttlSeconds = deps.settings.leaseTtlSeconds;
  const renewed = await renewLease(deps.db, providerId, task, ttlSeconds);
  if (renewed) return renewed;
  await reviveLease(deps, { leaseId: task.lease_id, providerId, fence: task.fence });
  return await renewLease(deps.db, providerId, task, ttlSeconds);
}

/** What the machine is told of it. */
export function answerTo(leaseId: LeaseId, kept: RenewedLease | null): TaskAnswer {
  return {
    lease_id: leaseId,
    verdict: kept?.desired ?? 'gone',
    stop_within_seconds: kept?.desired === 'stop' ? kept.stopWithinSeconds : null,
  };
}
