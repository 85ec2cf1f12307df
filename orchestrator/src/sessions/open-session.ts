import type { Tx } from '@computefabric/db/client';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { hello, Verdict } from '@computefabric/protocol/provider-api/v1/session';
import { AppError } from '@computefabric/runtime/errors';
import type { z } from 'zod';
import { notify } from '../background/signals.ts';
import { lockJob } from '../jobs/job.store.ts';
import { endLease } from '../leases/end-lease.ts';
import { findLeasesOf, renewLease } from '../leases/heartbeat.store.ts';
import { lockLease, releaseLease } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { openSession, replaceGpus } from '../providers/provider.store.ts';

type HelloBody = z.output<NonNullable<typeof hello.body>>;

/**
 * A machine says hello, after a start or a restart: it gets a new session, its tries that it still holds go on
 * under it, and those that it no longer knows are over at once instead of when their lease runs out.
 */
export async function openProviderSession(
  deps: LeaseDeps,
  providerId: ProviderId,
  body: HelloBody,
): Promise<{ session: number; tasks: { lease_id: LeaseId; verdict: Verdict }[] }> {
  const session = await deps.db.transaction(async (tx) => {
    const provider = await openSession(tx, providerId, body.agent_version, body.inventory);
    if (!provider) throw new AppError('provider/suspended');
    await replaceGpus(tx, providerId, body.inventory.gpus);
    await notify(tx, 'cf_queue');
    return provider.session;
  });
  const tasks: { lease_id: LeaseId; verdict: Verdict }[] = [];
  for (const task of body.tasks) {
    const kept = await renewLease(
      deps.db,
      providerId,
      { ...task, progress: null },
      deps.settings.leaseTtlSeconds,
    );
    if (!kept) deps.onStaleCall('hello');
    tasks.push({ lease_id: task.lease_id, verdict: kept?.desired ?? 'gone' });
  }
  await dropForgottenLeases(deps, providerId, new Set(body.tasks.map((task) => task.lease_id)));
  return { session, tasks };
}

/** Ends what the machine held before and no longer names. Offers stay: it has yet to see them. */
async function dropForgottenLeases(
  deps: LeaseDeps,
  providerId: ProviderId,
  named: Set<LeaseId>,
): Promise<void> {
  const held = await findLeasesOf(deps.db, providerId, ['active', 'releasing']);
  for (const { id, jobId } of held.filter((lease) => !named.has(lease.id))) {
    await deps.db.transaction(async (tx) => {
      const job = await lockJob(tx, jobId);
      const lease = await lockLease(tx, id);
      if (!job || !lease) return;
      if (lease.state === 'active') {
        const detail = 'The machine restarted and no longer has the task.';
        await endLease(tx, deps.settings, { job, lease, to: 'lost', reason: 'provider-lost', detail });
      } else {
        await releaseForgotten(tx, id);
      }
    });
  }
}

/** The try was accounted for and its container is gone with the machine's memory of it. */
async function releaseForgotten(tx: Tx, leaseId: LeaseId): Promise<void> {
  if (!(await releaseLease(tx, leaseId, 'released'))) return;
  await notify(tx, 'cf_queue');
}
