import type { Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { hello, Verdict } from '@computefabric/protocol/provider-api/v1/session';
import { AppError } from '@computefabric/runtime/errors';
import { and, eq, inArray, sql } from 'drizzle-orm';
import type { z } from 'zod';
import { notify } from '../background/signals.ts';
import { lockJob } from '../jobs/job.store.ts';
import { endLease } from '../leases/end-lease.ts';
import { freeGpus, fromNow, lockLease, releaseLease } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { openSession, replaceGpus } from './provider.store.ts';

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
  const verdicts = await adoptLeases(deps, providerId, body.tasks);
  await dropForgottenLeases(deps, providerId, new Set(verdicts.keys()));
  return {
    session,
    tasks: body.tasks.map((task) => ({
      lease_id: task.lease_id,
      verdict: verdicts.get(task.lease_id) ?? 'gone',
    })),
  };
}

/** Gives the leases that are still this machine's a fresh term. */
async function adoptLeases(
  deps: LeaseDeps,
  providerId: ProviderId,
  tasks: HelloBody['tasks'],
): Promise<Map<LeaseId, Verdict>> {
  const verdicts = new Map<LeaseId, Verdict>();
  for (const task of tasks) {
    const [row] = await deps.db
      .update(leases)
      .set({ expiresAt: fromNow(deps.settings.leaseTtlSeconds), taskState: task.task_state })
      .where(
        and(
          eq(leases.id, task.lease_id),
          eq(leases.providerId, providerId),
          eq(leases.fence, task.fence),
          inArray(leases.state, ['active', 'releasing']),
          sql`${leases.expiresAt} > now()`,
        ),
      )
      .returning({ desired: leases.desired });
    if (row) verdicts.set(task.lease_id, row.desired);
    else deps.onStaleCall('hello');
  }
  return verdicts;
}

/** Ends what the machine held before and no longer names. Offers stay: it has yet to see them. */
async function dropForgottenLeases(
  deps: LeaseDeps,
  providerId: ProviderId,
  held: Set<LeaseId>,
): Promise<void> {
  const open = await deps.db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(leases)
    .where(and(eq(leases.providerId, providerId), inArray(leases.state, ['active', 'releasing'])));
  for (const { id, jobId } of open.filter((lease) => !held.has(lease.id))) {
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
  await freeGpus(tx, leaseId);
  await notify(tx, 'cf_queue');
}
