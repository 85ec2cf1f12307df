import { createDb, type Db } from '@computefabric/db/client';
import { apiKeys } from '@computefabric/db/schema/api-keys';
import { artifacts } from '@computefabric/db/schema/artifacts';
import { gpus } from '@computefabric/db/schema/gpus';
import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { payments } from '@computefabric/db/schema/payments';
import { profiles } from '@computefabric/db/schema/profiles';
import { providers } from '@computefabric/db/schema/providers';
import { users } from '@computefabric/db/schema/users';
import { createTestDatabase } from '@computefabric/db/testing';
import { newBearer } from '@computefabric/protocol/api-key';
import { type JobId, newId, type UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@/types/market-view.ts';
import { findArtifact } from './find-artifact.ts';
import { findJob } from './find-job.ts';
import { findViewer } from './find-viewer.ts';
import { getJob } from './get-job.ts';
import { burnPerHour, getOverview, hasOnlineMachine } from './get-overview.ts';
import { listJobs, listMembers } from './list-jobs.ts';
import { listMachines } from './list-machines.ts';

let db: Db;
let close: () => Promise<void>;

beforeAll(async () => {
  const database = await createTestDatabase();
  const connection = createDb(database.url);
  db = connection.db;
  close = async () => {
    await connection.close();
    await database.close();
  };
});

afterAll(async () => {
  await close();
});

async function newViewer(name = 'Ana'): Promise<Viewer> {
  const userId: UserId = newId('user');
  const email = `${userId}@example.org`;
  await db.insert(users).values({ id: userId, email });
  await db.insert(profiles).values({ id: newId('profile'), userId, displayName: name });
  return { userId, name, email, isLocalOperator: false };
}

async function newJob(viewer: Viewer, more: Partial<typeof jobs.$inferInsert> = {}): Promise<JobId> {
  const id: JobId = more.id ?? newId('job');
  await db.insert(jobs).values({
    id,
    userId: viewer.userId,
    name: `job-${id.slice(-8)}`,
    image: 'busybox:latest',
    command: ['echo', 'a b'],
    env: { A: '1' },
    gpus: 1,
    gpuModels: [],
    minVramMib: 0,
    cpuMilli: 1_000,
    memoryMib: 954,
    timeLimitSeconds: 3_600,
    maxPricePerHourMicros: 1_000_000n,
    holdMicros: 1_000_000n,
    ...more,
  });
  await db.insert(payments).values({
    id: newId('payment'),
    jobId: id,
    userId: viewer.userId,
    currency: 'USD',
    holdMicros: 1_000_000n,
  });
  await db
    .insert(jobEvents)
    .values({ jobId: id, seq: 1, type: 'submitted', message: 'Submitted.', state: 'queued', data: {} });
  return id;
}

/** A machine with one simulated card, working on the job since ten seconds ago. */
async function runJob(owner: Viewer, jobId: JobId) {
  const providerId = newId('provider');
  const gpuId = newId('gpu');
  const leaseId = newId('lease');
  await db.insert(providers).values({
    id: providerId,
    ownerId: owner.userId,
    name: 'cobalt-otter',
    state: 'online',
    credentialHash: 'x',
    cpuMilli: 8_000,
    memoryMib: 16_000,
    pricePerGpuHourMicros: 360_000n,
  });
  await db.insert(gpus).values({
    id: gpuId,
    providerId,
    uuid: 'GPU-1',
    index: 0,
    name: 'NVIDIA GeForce RTX 4090',
    memoryMib: 24_564,
    simulated: true,
  });
  await db.insert(leases).values({
    id: leaseId,
    jobId,
    providerId,
    attempt: 1,
    state: 'active',
    taskState: 'running',
    pricePerHourMicros: 360_000n,
    gpuIds: [gpuId],
    cpuMilli: 1_000,
    memoryMib: 954,
    expiresAt: new Date(Date.now() + 60_000),
    acceptedAt: sql`now() - interval '12 seconds'`,
    startedAt: sql`now() - interval '10 seconds'`,
  });
  await db
    .update(jobs)
    .set({ state: 'running', leaseId, startedAt: sql`now() - interval '10 seconds'` })
    .where(sql`${jobs.id} = ${jobId}`);
  const artifactId = newId('artifact');
  await db.insert(artifacts).values({
    id: artifactId,
    jobId,
    leaseId,
    path: 'model.json',
    sizeBytes: 12,
    sha256: 'ab'.repeat(32),
    blobKey: 'k',
  });
  return { providerId, leaseId, artifactId };
}

const allJobs = { filter: null, search: '', cursor: null } as const;

describe('what a viewer can read', () => {
  it("never includes another user's job, file, machine or money", async () => {
    const [owner, stranger] = [await newViewer(), await newViewer('Eve')];
    const jobId = await newJob(owner);
    const { artifactId } = await runJob(owner, jobId);

    expect(await getJob(db, stranger, jobId)).toBeNull();
    expect(await findJob(db, stranger, jobId)).toBeNull();
    expect(await findArtifact(db, stranger, jobId, artifactId)).toBeNull();
    expect((await listJobs(db, stranger, allJobs)).jobs).toEqual([]);
    expect((await listMachines(db, stranger)).machines).toEqual([]);
    expect(await burnPerHour(db, stranger)).toBe(0n);
    expect(await getOverview(db, stranger)).toMatchObject({ runningNow: 0, recentJobs: [], attention: [] });

    expect((await getJob(db, owner, jobId))?.job.id).toBe(jobId);
    expect((await findArtifact(db, owner, jobId, artifactId))?.path).toBe('model.json');
  });

  it("does not find a file under another job, even under the viewer's own", async () => {
    const viewer = await newViewer();
    const [first, second] = [await newJob(viewer), await newJob(viewer)];
    const { artifactId } = await runJob(viewer, first);
    expect(await findArtifact(db, viewer, second, artifactId)).toBeNull();
  });

  it('is nothing for ids that are not ids', async () => {
    const viewer = await newViewer();
    expect(await getJob(db, viewer, "job_' or 1=1 --")).toBeNull();
    expect(await findArtifact(db, viewer, 'x', 'y')).toBeNull();
  });
});

describe('members of a group', () => {
  it('stand under their group in the order of their indexes, and among all jobs only for who looks for them', async () => {
    const [viewer, stranger] = [await newViewer(), await newViewer('Eve')];
    const groupId = newId('group');
    const ids = [newId('job'), newId('job'), newId('job')].toSorted((a, b) => (a < b ? -1 : 1));
    for (const [groupIndex, id] of ids.entries())
      await newJob(viewer, { id, groupId, groupIndex, name: `sweep-${groupIndex}` });
    const single = await newJob(viewer);

    expect((await listJobs(db, viewer, allJobs)).jobs.map((job) => job.id)).toEqual([single]);
    expect((await listJobs(db, viewer, { ...allJobs, search: 'sweep' })).jobs).toHaveLength(3);
    const first = await listMembers(db, viewer, groupId, null, 2);
    expect(first.jobs.map((job) => job.id)).toEqual(ids.slice(0, 2));
    const rest = await listMembers(db, viewer, groupId, first.nextCursor, 2);
    expect(rest).toMatchObject({ jobs: [{ id: ids[2], isMember: true }], nextCursor: null });
    expect((await listMembers(db, stranger, groupId, null)).jobs).toEqual([]);
  });
});

describe("a job's page", () => {
  it('shows a running job with its machine, its growing cost and its files', async () => {
    const viewer = await newViewer();
    const jobId = await newJob(viewer);
    await runJob(viewer, jobId);
    const found = await getJob(db, viewer, jobId);
    expect(found?.job).toMatchObject({
      state: 'running',
      isFinal: false,
      hardware: '1 × RTX 4090',
      simulated: true,
      commandLine: "echo 'a b'",
      paymentState: 'pending',
      cost: { microsPerHour: 360_000n, billable: true, capMicros: 1_000_000n },
      artifacts: [{ path: 'model.json', attempt: 1 }],
      events: [{ seq: 1, type: 'submitted' }],
    });
    // Ten seconds at 100 micros a second, and whatever the test has taken since.
    expect(found?.job.cost.accruedMicros).toBeGreaterThanOrEqual(1_000n);
    expect(found?.job.cost.accruedMicros).toBeLessThan(2_000n);
    expect(found?.job.timeline.map((stretch) => stretch.state)).toEqual([
      'done',
      'done',
      'done',
      'current',
      'ahead',
    ]);
  });
});

describe('the list of jobs', () => {
  it('goes from page to page without a gap or a repeat', async () => {
    const viewer = await newViewer();
    const ids: JobId[] = [];
    for (let index = 0; index < 5; index += 1) ids.push(await newJob(viewer));
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof listJobs>> = await listJobs(
        db,
        viewer,
        { ...allJobs, cursor },
        2,
      );
      seen.push(...page.jobs.map((job) => job.id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(ids.toReversed());
  });

  it('filters by state and finds by name, id and image, taking wildcards literally', async () => {
    const viewer = await newViewer();
    const queued = await newJob(viewer, { name: 'train_100%' });
    const failed = await newJob(viewer, {
      name: 'render',
      image: 'blender/blender:4.2',
      state: 'failed',
      endReason: 'exited-nonzero',
      finishedAt: new Date(),
    });
    const found = async (request: Partial<Parameters<typeof listJobs>[2]>) =>
      (await listJobs(db, viewer, { ...allJobs, ...request })).jobs.map((job) => job.id);
    expect(await found({ filter: 'failed' })).toEqual([failed]);
    expect(await found({ filter: 'queued' })).toEqual([queued]);
    expect(await found({ search: 'BLENDER' })).toEqual([failed]);
    expect(await found({ search: queued.slice(-10) })).toEqual([queued]);
    expect(await found({ search: '100%' })).toEqual([queued]);
    expect(await found({ search: '_' })).toHaveLength(2); // every id has one
    expect(await found({ search: 'n_1' })).toEqual([queued]);
    expect(await found({ search: 'r%r' })).toEqual([]);
  });
});

describe('the overview', () => {
  it('counts what runs, waits and failed, and names what needs attention', async () => {
    const viewer = await newViewer();
    const running = await newJob(viewer);
    await runJob(viewer, running);
    await newJob(viewer, { queuedAt: new Date(Date.now() - 3_600_000), name: 'stuck' });
    await newJob(viewer, {
      name: 'broken',
      state: 'failed',
      endReason: 'out-of-memory',
      finishedAt: new Date(Date.now() - 60_000),
    });
    const overview = await getOverview(db, viewer);
    expect(overview).toMatchObject({
      runningNow: 1,
      queued: 1,
      failuresToday: 1,
      failuresYesterday: 0,
      jobsThisMonth: 3,
      burnPerHourMicros: 360_000n,
      hasUnfinished: true,
    });
    expect(overview.oldestQueuedAt).toBeInstanceOf(Date);
    expect(overview.recentJobs).toHaveLength(3);
    expect(overview.attention.map((item) => item.title)).toEqual([
      'broken failed',
      'stuck has been waiting for more than ten minutes',
    ]);
    expect(await hasOnlineMachine(db)).toBe(true);
  });
});

describe("an owner's machines", () => {
  it('show what they run, whose it is, and what they have earned', async () => {
    const [owner, renter] = [await newViewer(), await newViewer('Renter')];
    const jobId = await newJob(renter);
    const { leaseId } = await runJob(owner, jobId);
    await db
      .update(leases)
      .set({ costMicros: 500n, earnedMicros: 450n })
      .where(sql`${leases.id} = ${leaseId}`);
    const { machines } = await listMachines(db, owner);
    expect(machines).toMatchObject([
      {
        name: 'cobalt-otter',
        state: 'online',
        earnedMicros: 450n,
        gpus: [{ name: 'NVIDIA GeForce RTX 4090', simulated: true, jobId }],
        running: [{ jobId, image: 'busybox:latest', state: 'running', isOwn: false }],
      },
    ]);
  });
});

describe('signing in', () => {
  async function newKey(viewer: Viewer, more: Partial<typeof apiKeys.$inferInsert> = {}): Promise<string> {
    const id = newId('apiKey');
    const { token, secretHash } = newBearer('user', id.slice('key_'.length));
    await db
      .insert(apiKeys)
      .values({ id, userId: viewer.userId, kind: 'user', name: 'test', secretHash, ...more });
    return token;
  }

  it("finds the owner of a key, by their profile's name", async () => {
    const viewer = await newViewer('Ana');
    const owner = await findViewer(db, await newKey(viewer));
    expect(owner).toEqual({ userId: viewer.userId, name: 'Ana', email: viewer.email });
  });

  it.each([
    ['revoked', { revokedAt: new Date() }],
    ['expired', { expiresAt: new Date(Date.now() - 1_000) }],
    ['a join token', { kind: 'join' as const }],
  ])('refuses a key that is %s', async (_what, more) => {
    expect(await findViewer(db, await newKey(await newViewer(), more))).toBeNull();
  });

  it('refuses a right id with a wrong secret, and whatever is not a key', async () => {
    const token = await newKey(await newViewer());
    const forged = `${token.slice(0, -43)}${'A'.repeat(43)}`;
    expect(await findViewer(db, forged)).toBeNull();
    for (const junk of [
      '',
      'cf_',
      token.slice(0, -1),
      `${token}x`,
      `cfj${token.slice(2)}`,
      ' '.repeat(5_000),
    ]) {
      expect(await findViewer(db, junk)).toBeNull();
    }
  });
});
