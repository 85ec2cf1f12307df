import type { Tx } from '@computefabric/db/client';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { hello, TaskAnswer } from '@computefabric/protocol/provider-api/v1/session';
import { AppError } from '@computefabric/runtime/errors';
import type { z } from 'zod';
import { keyIdOf } from '@computefabric/runtime/receipts/signatures';
import { notify } from '../background/signals.ts';
import { lockJob } from '../jobs/job.store.ts';
import { endLease } from '../leases/end-lease.ts';
import { findLeasesOf } from '../leases/heartbeat.store.ts';
import { answerTo, keepAlive } from './keep-alive.ts';
import { lockLease, releaseLease } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { insertProviderKey } from '../metering/metering.store.ts';
import { refuseBelowFloor } from '../pricing/price-floor.ts';
import { openSession, replaceGpus } from '../providers/provider.store.ts';

type HelloBody = z.output<NonNullable<typeof hello.body>>;

/**
 * A machine says hello, after a start or a restart: it gets a new session, its tries that it still holds go on
 * under it, and those that it no longer knows are over at once instead of when their lease runs out.
 *
 * @throws AppError `request/invalid` for a price below the operator's floor, `provider/suspended`, `provider/key-taken`
 */
export async function openProviderSession(
  deps: LeaseDeps,
  providerId: ProviderId,
  body: HelloBody,
): Promise<{ session: number; tasks: TaskAnswer[] }> {
  refuseBelowFloor(body.inventory, deps.settings.priceFloorPerGpuHourMicros);
  const session = await deps.db.transaction(async (tx) => {
    const provider = await openSession(tx, providerId, {
      agentVersion: body.agent_version,
      inventory: body.inventory,
      ownerNotice: body.owner_notice ?? null,
    });
    if (!provider) throw new AppError('provider/suspended');
    await replaceGpus(tx, providerId, body.inventory.gpus);
    if (body.signing_key !== undefined) {
      const publicKey = body.signing_key;
      // One identity: whoever has got hold of a credential cannot sign for the machine.
      if (provider.identityKey !== null && provider.identityKey !== publicKey)
        throw new AppError('provider/key-taken');
      await insertProviderKey(tx, { providerId, signingKeyId: keyIdOf(publicKey), publicKey });
    }
    return provider.session;
  });
  const tasks: TaskAnswer[] = [];
  for (const task of body.tasks) {
    const kept = await keepAlive(deps, providerId, { ...task, progress: null });
    if (!kept) deps.onStaleCall('hello');
    tasks.push(answerTo(task.lease_id, kept));
  }
  await dropForgottenLeases(deps, providerId, new Set(body.tasks.map((task) => task.lease_id)));
  // Only now is it known what is free of the machine: the matcher is not told before.
  await deps.db.transaction((tx) => notify(tx, 'cf_queue', providerId));
  return { session, tasks };
}

/** Ends what the machine held before and no longer names. Offers stay: it has yet to see them. */
async function dropForgottenLeases(
  deps: LeaseDeps,
  providerId: ProviderId,
  named: Set<LeaseId>,
): Promise<void> {
  const held = await findLeasesOf(deps.db, providerId, ['active', 'silent', 'releasing']);
  for (const { id, jobId } of held.filter((lease) => !named.has(lease.id))) {
    await deps.db.transaction(async (tx) => {
      const job = await lockJob(tx, jobId);
      const lease = await lockLease(tx, id);
      if (!job || !lease) return;
      if (lease.state === 'active' || lease.state === 'silent') {
        const detail = 'The machine restarted and no longer has the task.';
        await endLease(tx, deps.settings, { job, lease, to: 'lost', reason: 'provider-lost', detail });
      } else {
        await releaseForgotten(tx, id, providerId);
      }
    });
  }
}

/** The try was accounted for and its container is gone with the machine's memory of it. */
async function releaseForgotten(tx: Tx, leaseId: LeaseId, providerId: ProviderId): Promise<void> {
  if (!(await releaseLease(tx, leaseId, 'released'))) return;
  await notify(tx, 'cf_queue', providerId);
}
