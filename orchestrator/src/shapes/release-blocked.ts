import type { Tx } from '@computefabric/db/client';
import { type GroupId, groupId, type JobId, jobId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { notify, notifyAll } from '../background/signals.ts';
import { demandOf, fateOf } from '../jobs/dependency-fate.ts';
import { endJob } from '../jobs/end-job.ts';
import { type Dependent, findDependents, listDependencies, markMet } from '../jobs/job-dependencies.store.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { lockJob } from '../jobs/job.store.ts';
import { cancelJob } from '../leases/cancel-job.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { findUntold, lockGroup } from './group.store.ts';
import { keepGangTogether } from './keep-gang.ts';
import {
  countUnblocked,
  endWaitingMembers,
  findGroupsToTend,
  findReleasableJobs,
  placesOf,
  unblockJob,
  unblockMembers,
} from './release.store.ts';

type Deps = Pick<LeaseDeps, 'db' | 'settings'>;

/** Members moved in one transaction. */
const batch = 500;
/** Jobs and groups looked at in one sweep. */
const sweepBatch = 500;

/**
 * Looks at what may move on because these jobs ended, or because these jobs and groups were submitted or changed:
 * unblocks what has nothing left to wait for, ends what can no longer start, keeps gangs together. Everything
 * follows from the tables, under lock; so a repeat, another process doing the same, or a crash in the middle
 * changes nothing.
 *
 * @param ids of jobs and groups, in any order
 */
export async function releaseAfter(deps: Deps, ids: ReadonlySet<string>): Promise<void> {
  const named = [...ids];
  const jobIds = named.map((id) => jobId.safeParse(id)).flatMap(({ data }) => (data ? [data] : []));
  const groupIds = named.map((id) => groupId.safeParse(id)).flatMap(({ data }) => (data ? [data] : []));
  // Most jobs that end are in no group and nothing waits for them: two queries find that out for all of them.
  const places = await placesOf(deps.db, jobIds);
  const groups = new Set([...groupIds, ...places.groupIds]);
  const dependents = await findDependents(deps.db, { jobIds, groupIds: [...groups] });
  for (const dependent of dependents) if (dependent.groupId) groups.add(dependent.groupId);
  const waiting = new Set([...places.blocked, ...dependents.flatMap((dependent) => dependent.jobId ?? [])]);
  for (const id of waiting) await releaseJob(deps, id);
  for (const id of groups) await tendGroup(deps, id);
}

/** The same for everything that is blocked or a gang: the safety net, also after a start. */
export async function releaseAll(deps: Deps): Promise<void> {
  for (const id of await findReleasableJobs(deps.db, sweepBatch)) await releaseJob(deps, id);
  for (const id of await findGroupsToTend(deps.db, sweepBatch)) await tendGroup(deps, id);
}

/** Lets a blocked job into the queue, or ends it, when what it comes after allows one or the other. */
async function releaseJob({ db }: Deps, id: JobId): Promise<void> {
  await db.transaction(async (tx) => {
    const job = await lockJob(tx, id);
    if (job?.state !== 'blocked' || job.groupId !== null) return;
    const verdict = await judgeDependencies(tx, { jobId: id });
    if (verdict.kind === 'wait') return;
    if (verdict.kind === 'never') {
      await endJob(tx, { jobId: id, reason: 'dependency-failed', detail: verdict.why });
      return;
    }
    const unblocked = await unblockJob(tx, id);
    invariant(unblocked, `${id} was blocked and locked`);
    await appendJobEvent(tx, {
      jobId: id,
      type: 'unblocked',
      message: 'What it comes after has ended: the job waits for a machine.',
    });
    await notify(tx, 'cf_queue', id);
  });
}

type Verdict = { kind: 'go' } | { kind: 'wait' } | { kind: 'never'; why: string };

async function judgeDependencies(tx: Tx, dependent: Dependent): Promise<Verdict> {
  let waits = false;
  for (const target of await listDependencies(tx, dependent)) {
    if (target.metAt !== null) continue;
    const fate = fateOf(target);
    if (fate === 'failed') return { kind: 'never', why: `${demandOf(target)}, and it did not.` };
    if (fate === 'met') await markMet(tx, target.id);
    else waits = true;
  }
  return { kind: waits ? 'wait' : 'go' };
}

/** Lets as many members out of `blocked` as may be, or ends all that wait, and keeps a gang together. */
async function tendGroup(deps: Deps, id: GroupId): Promise<void> {
  for (;;) {
    const outcome = await deps.db.transaction((tx) => moveMembers(tx, id));
    if (outcome.moved < batch) {
      if (outcome.cancelRequested) await cancelTheRest(deps, id);
      if (outcome.kind === 'gang') await keepGangTogether(deps, id);
      return;
    }
  }
}

async function moveMembers(tx: Tx, id: GroupId) {
  const group = await lockGroup(tx, id);
  if (!group) return { moved: 0, cancelRequested: false, kind: null };
  const outcome = { moved: 0, cancelRequested: group.cancelRequestedAt !== null, kind: group.kind };
  if (outcome.cancelRequested) {
    const ended = await endWaitingMembers(tx, id, { reason: 'cancelled', detail: null }, batch);
    return { ...outcome, moved: ended.length };
  }
  const verdict = await judgeDependencies(tx, { groupId: id });
  if (verdict.kind === 'wait') return outcome;
  if (verdict.kind === 'never') {
    const ended = await endWaitingMembers(
      tx,
      id,
      { reason: 'dependency-failed', detail: verdict.why },
      batch,
    );
    return { ...outcome, moved: ended.length };
  }
  const room = group.maxParallel === null ? batch : group.maxParallel - (await countUnblocked(tx, id));
  if (room <= 0) return outcome;
  const moved = await unblockMembers(tx, id, Math.min(room, batch));
  await notifyAll(tx, 'cf_queue', moved);
  return { ...outcome, moved: moved.length };
}

/** Members that a machine has are told one by one, as single jobs are. */
async function cancelTheRest(deps: Deps, id: GroupId): Promise<void> {
  const members = await findUntold(deps.db, id);
  for (const member of members) await cancelJob(deps, { userId: member.userId, jobId: member.id });
}
