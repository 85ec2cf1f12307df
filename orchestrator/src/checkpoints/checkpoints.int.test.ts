import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createDb } from '@computefabric/db/client';
import { checkpoints } from '@computefabric/db/schema/checkpoints';
import { idempotencyKeys } from '@computefabric/db/schema/idempotency-keys';
import { jobEvents } from '@computefabric/db/schema/job-events';
import { jobs } from '@computefabric/db/schema/jobs';
import { keptStates } from '@computefabric/db/schema/kept-states';
import { leases } from '@computefabric/db/schema/leases';
import { storedObjects } from '@computefabric/db/schema/stored-objects';
import { createTestDatabase } from '@computefabric/db/testing';
import type { EndReason } from '@computefabric/protocol/end-reason';
import {
  type CheckpointId,
  type JobId,
  newId,
  type ProviderId,
  type UserId,
} from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import type { CheckpointManifest } from '@computefabric/protocol/provider-api/v1/checkpoints';
import { invariant } from '@computefabric/runtime/invariant';
import { and, eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { putArtifact } from '../artifacts/put-artifact.ts';
import { sweepOnce } from '../housekeeping/sweep.worker.ts';
import { lockJob } from '../jobs/job.store.ts';
import { endLease } from '../leases/end-lease.ts';
import { grantLeases } from '../leases/grant-leases.ts';
import { type LeaseClaim, lockLease } from '../leases/lease.store.ts';
import { reportEnd } from '../leases/report-lease.ts';
import { openDiskObjectStore } from '../objects/disk-object-store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { loadMachines } from '../matching/market.store.ts';
import { Matcher } from '../matching/match.ts';
import type { SavedState } from '../matching/queue/queued-job.ts';
import { loadQueuedJobs } from '../matching/queued-jobs.store.ts';
import { leftSeconds } from '../metering/usage.ts';
import { marketFixture, testCards } from '../testing/market-fixture.ts';
import { listCheckpointsOf } from './checkpoint.store.ts';
import { noteKeptStates } from './note-kept-states.ts';
import { readKeptChunk, readKeptManifest, readStateChunk, readStateManifest } from './read-state.ts';
import {
  beginCheckpoint,
  type CheckpointDeps,
  commitCheckpoint,
  findMissingChunks,
  putChunk,
} from './save-checkpoint.ts';

const never = new AbortController().signal;
const sha256Of = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
let market: ReturnType<typeof marketFixture>;
let folder: string;
let objects: ObjectStore;
let deps: CheckpointDeps;
let renter: UserId;
let machine: ProviderId;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url, { poolSize: 20 });
  folder = await mkdtemp(join(tmpdir(), 'cf-checkpoints-'));
  objects = await openDiskObjectStore(folder);
  market = marketFixture(connection.db);
  deps = { ...market.deps, objects };
  renter = await market.addUser();
  machine = await market.addMachine(renter);
});
afterAll(async () => {
  await connection.close();
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

let job: JobId;
let claim: LeaseClaim;
beforeEach(async () => {
  [job, claim] = await runningJob();
});

/** A job that keeps its state, running on the machine since `seconds` ago. */
async function runningJob(seconds = 30): Promise<[JobId, LeaseClaim]> {
  const id = await market.addJob(renter, {
    checkpoint: { path: '/state', every_seconds: 60, command: null },
    timeLimitSeconds: 100,
  });
  return [id, await addTry(id, seconds)];
}

async function addTry(id: JobId, seconds: number, on = machine): Promise<LeaseClaim> {
  const { attempts, checkpointId } = await market.jobRow(id);
  const [lease] = await connection.db
    .insert(leases)
    .values({
      id: newId('lease'),
      jobId: id,
      providerId: on,
      attempt: attempts + 1,
      state: 'active',
      pricePerHourMicros: 360_000n,
      gpuIds: [],
      cpuMilli: 1_000,
      memoryMib: 64,
      acceptedAt: new Date(),
      startedAt: seconds === 0 ? null : sql`now() - make_interval(secs => ${seconds})`,
      expiresAt: sql`now() + interval '1 hour'`,
      resumedFrom: checkpointId,
    })
    .returning();
  invariant(lease, 'a lease was made');
  await connection.db
    .update(jobs)
    .set({
      state: seconds === 0 ? 'preparing' : 'running',
      leaseId: lease.id,
      attempts: attempts + 1,
      notBefore: null,
    })
    .where(eq(jobs.id, id));
  return { leaseId: lease.id, providerId: on, fence: lease.fence };
}

const chunkOf = (text: string) => Buffer.from(text);

function manifestOf(files: Record<string, string>): { bytes: Buffer; sha256: string } {
  const manifest: CheckpointManifest = {
    version: 1,
    folders: [],
    links: [],
    files: Object.entries(files).map(([path, text]) => ({
      path,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime_seconds: 1,
      size_bytes: chunkOf(text).byteLength,
      chunks: text === '' ? [] : [sha256Of(chunkOf(text))],
    })),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return { bytes, sha256: sha256Of(bytes) };
}

const send = (to: LeaseClaim, text: string) =>
  putChunk(deps, to, {
    sha256: sha256Of(chunkOf(text)),
    sizeBytes: chunkOf(text).byteLength,
    body: Readable.from([chunkOf(text)]),
    signal: never,
  });

async function begin(as = claim): Promise<CheckpointId> {
  const id = await beginCheckpoint(deps, as);
  invariant(id, 'the state is wanted');
  return id;
}

const commit = (id: CheckpointId, manifest: { bytes: Buffer; sha256: string }, as = claim, kept = false) =>
  commitCheckpoint(deps, as, { checkpointId: id, ...manifest, kept, signal: never });

/** A whole save of these files; `kept`: the machine has them for a next try, too. */
async function save(files: Record<string, string>, as = claim, kept = false): Promise<CheckpointId> {
  const id = await begin(as);
  for (const text of Object.values(files)) if (text !== '') await send(as, text);
  expect(await commit(id, manifestOf(files), as, kept)).toEqual({ missing: [] });
  return id;
}

const sweep = (graceSeconds = 0, keepCheckpointsSeconds = 3_600) =>
  sweepOnce(
    { db: connection.db, objects, log: market.deps.log, settings: { graceSeconds, keepCheckpointsSeconds } },
    never,
  );

const filesOnDisk = async () => (await readdir(join(folder, job)).catch(() => [])).length;

describe('saving', () => {
  test('only a commit with every chunk stored makes a checkpoint; a torn save leaves the last one', async () => {
    const first = await save({ step: 'one', empty: '' });
    expect((await market.jobRow(job)).checkpointId).toBe(first);

    const second = await begin();
    await send(claim, 'two');
    const manifest = manifestOf({ step: 'two', more: 'never sent' });
    expect(await commit(second, manifest)).toEqual({ missing: [sha256Of('never sent')] });
    expect((await market.jobRow(job)).checkpointId).toBe(first);

    await send(claim, 'never sent');
    expect(await commit(second, manifest)).toEqual({ missing: [] });
    expect(await commit(second, manifest)).toEqual({ missing: [] }); // the answer was lost
    expect((await market.jobRow(job)).checkpointId).toBe(second);
    await expect(commit(second, manifestOf({ step: 'one' }))).rejects.toMatchObject({
      code: 'checkpoint/not-found',
    });
    expect(await listCheckpointsOf(connection.db, job)).toMatchObject([
      { id: second, sizeBytes: 13, newBytes: 13, files: 2 },
      { id: first, sizeBytes: 3, files: 2 },
    ]);
  });

  test('only what is not stored of this very job has to be sent', async () => {
    await save({ a: 'same', b: 'old' });
    await begin();
    const asked = ['same', 'new'].map((text) => sha256Of(text));
    expect(await findMissingChunks(deps, claim, asked)).toEqual([sha256Of('new')]);
    const [, stranger] = await runningJob();
    await begin(stranger);
    // By its hash alone nobody learns of, or gets at, what another job has stored.
    expect(await findMissingChunks(deps, stranger, asked)).toEqual(asked);
    expect(await commit(await begin(stranger), manifestOf({ x: 'same' }), stranger)).toEqual({
      missing: [sha256Of('same')],
    });
  });

  test('an old fence, another machine, and a try that is over can neither save nor read', async () => {
    await save({ a: 'mine' });
    const manifest = manifestOf({ a: 'mine' });
    const hash = sha256Of('mine');
    const calls = (as: LeaseClaim) => [
      () => beginCheckpoint(deps, as),
      () => findMissingChunks(deps, as, [hash]),
      () => send(as, 'x'),
      () => commit(newId('checkpoint'), manifest, as),
      () => readStateManifest(deps, as),
      () => readStateChunk(deps, as, hash),
    ];
    for (const call of calls({ ...claim, fence: claim.fence - 1 }))
      await expect(call()).rejects.toMatchObject({ code: 'lease/stale' });
    const other = await market.addMachine(renter);
    for (const call of calls({ ...claim, providerId: other }))
      await expect(call()).rejects.toMatchObject({ code: 'lease/not-found' });
    await connection.db.update(leases).set({ state: 'lost' }).where(eq(leases.id, claim.leaseId));
    for (const call of calls(claim)) await expect(call()).rejects.toMatchObject({ code: 'lease/stale' });
  });

  test('lists that are not what they say, lie about sizes or lead out of the state are refused', async () => {
    const id = await begin();
    await send(claim, 'four');
    const good = manifestOf({ a: 'four' });
    const changed = (change: (file: CheckpointManifest['files'][number]) => void) => {
      const manifest: CheckpointManifest = JSON.parse(good.bytes.toString());
      for (const file of manifest.files) change(file);
      const bytes = Buffer.from(JSON.stringify(manifest));
      return { bytes, sha256: sha256Of(bytes) };
    };
    await expect(commit(id, { ...good, sha256: sha256Of('x') })).rejects.toMatchObject({
      code: 'artifact/hash-mismatch',
    });
    const bad = [
      changed((file) => Object.assign(file, { size_bytes: 3 })),
      changed((file) => Object.assign(file, { size_bytes: 5_000_000 })),
      changed((file) => Object.assign(file, { path: '../a' })),
      changed((file) => Object.assign(file, { path: '/etc/passwd' })),
      changed((file) => Object.assign(file, { mode: 0o4755 })),
      { bytes: Buffer.from('{'), sha256: sha256Of('{') },
    ];
    for (const each of bad)
      await expect(commit(id, each)).rejects.toMatchObject({ code: 'checkpoint/bad-manifest' });
    expect((await market.jobRow(job)).checkpointId).toBeNull();
  });

  test('a job cannot fill the store with chunks that it never commits', async () => {
    await begin();
    await connection.db.insert(storedObjects).values({
      key: `${job}/full`,
      jobId: job,
      sha256: '0'.repeat(64),
      sizeBytes: limits.checkpointBytesPerJob,
      state: 'stored',
    });
    await expect(send(claim, 'one more')).rejects.toMatchObject({ code: 'checkpoint/no-room' });
  });

  test('nobody saves what nobody will need: a cancelled job, or one without a state', async () => {
    await connection.db.update(jobs).set({ cancelRequestedAt: new Date() }).where(eq(jobs.id, job));
    expect(await beginCheckpoint(deps, claim)).toBeNull();
  });
});

describe('what is removed', () => {
  test('all but the last two checkpoints and, after the grace time, what only the older ones held', async () => {
    for (const text of ['one', 'two', 'three']) await save({ same: 'kept', step: text });
    const rows = await listCheckpointsOf(connection.db, job);
    expect(rows.map(({ attempt, state }) => ({ attempt, state }))).toEqual([
      { attempt: 1, state: 'complete' },
      { attempt: 1, state: 'complete' },
    ]);
    expect(await filesOnDisk()).toBe(7); // four chunks and three lists
    await sweep(3_600);
    expect(await filesOnDisk()).toBe(7);
    await sweep();
    expect(await filesOnDisk()).toBe(5);
    const next = await addTryAfterLoss();
    expect((await readStateChunk(deps, next, sha256Of('three'))).toString()).toBe('three');
  });

  test('everything of a job some time after its end, and saves that broke off', async () => {
    await save({ a: 'state' });
    await begin();
    await send(claim, 'half');
    await connection.db.update(leases).set({ state: 'released' }).where(eq(leases.id, claim.leaseId));
    await connection.db
      .update(jobs)
      .set({
        state: 'succeeded',
        endReason: 'exited-zero',
        finishedAt: sql`now() - interval '2 hours'`,
        leaseId: null,
      })
      .where(eq(jobs.id, job));
    await sweep(0, 10_000);
    expect((await listCheckpointsOf(connection.db, job)).length).toBe(1);
    await sweep(0, 3_600);
    await sweep();
    expect(await filesOnDisk()).toBe(0);
    expect(await connection.db.select().from(storedObjects).where(eq(storedObjects.jobId, job))).toEqual([]);
  });

  test('result files stay, but not bytes that were sent and never listed, nor answers of long ago', async () => {
    const put = (path: string, text: string) =>
      putArtifact(deps, {
        ...claim,
        path,
        sha256: sha256Of(text),
        sizeBytes: text.length,
        body: Readable.from([Buffer.from(text)]),
        signal: never,
      });
    await put('model.txt', 'first');
    await put('model.txt', 'second'); // takes the place of the first
    await put('again.txt', 'second');
    const answer = { userId: renter, requestHash: 'x', status: 201, reply: {} };
    await connection.db.insert(idempotencyKeys).values([
      { ...answer, key: `${job}-old`, createdAt: sql`now() - interval '8 days'` },
      { ...answer, key: `${job}-new` },
    ]);
    const swept = await sweep();
    expect(swept.answers).toBe(1);
    const left = await connection.db.select().from(storedObjects).where(eq(storedObjects.jobId, job));
    expect(left.map(({ sha256 }) => sha256)).toEqual([sha256Of('second')]);
    expect(await filesOnDisk()).toBe(1);
  });

  test('never a chunk that a commit refers to at the same moment', async () => {
    const texts = Array.from({ length: 6 }, (_, index) => `chunk ${index} ${randomBytes(4).toString('hex')}`);
    let saving = true;
    const sweeper = (async () => {
      while (saving) await sweep(0);
    })();
    try {
      for (let round = 0; round < 25; round += 1) {
        const files = Object.fromEntries(
          texts
            .filter((_, index) => (index + round) % 3 > 0)
            .map((text) => [text.slice(0, 7).replace(' ', '-'), text]),
        );
        const id = await begin();
        for (let tries = 0; ; tries += 1) {
          expect(tries).toBeLessThan(50);
          const wanted = Object.values(files).filter(Boolean);
          const missing = await findMissingChunks(
            deps,
            claim,
            wanted.map((text) => sha256Of(text)),
          );
          for (const text of wanted) {
            if (missing.includes(sha256Of(text))) await send(claim, text).catch(ignoreBusy);
          }
          const answer = await commit(id, manifestOf(files)).catch(ignoreBusy);
          if (answer?.missing.length === 0) break;
        }
        const kept = await connection.db
          .select({ key: storedObjects.key })
          .from(storedObjects)
          .where(
            sql`${storedObjects.key} in (select key from checkpoint_chunks where checkpoint_id = ${id})`,
          );
        expect(kept.length).toBe(Object.keys(files).length);
        for (const { key } of kept) {
          const bytes = await objects.open(key, { start: 0, end: 0 });
          expect(bytes && (await buffer(bytes)).length).toBe(1);
        }
      }
    } finally {
      saving = false;
      await sweeper;
    }
  });
});

describe('beginning with a state', () => {
  test('the next try gets exactly what was saved, and nothing else', async () => {
    await save({ step: 'one', 'deep/model': 'weights' });
    const saved = manifestOf({ step: 'one', 'deep/model': 'weights' });
    const next = await addTryAfterLoss();
    const { text, sha256 } = await readStateManifest(deps, next);
    expect({ text, sha256 }).toEqual({ text: saved.bytes.toString(), sha256: saved.sha256 });
    expect((await readStateChunk(deps, next, sha256Of('weights'))).toString()).toBe('weights');
    await expect(readStateChunk(deps, next, sha256Of('other'))).rejects.toMatchObject({
      code: 'checkpoint/not-found',
    });
  });

  test('the owner of the job reads what is kept, also when it has ended, and nothing of another job', async () => {
    const checkpointId = await save({ step: 'one' });
    await connection.db.update(jobs).set({ state: 'cancelled' }).where(eq(jobs.id, job));
    const kept = { jobId: job, checkpointId };
    expect((await readKeptManifest(deps, kept)).text).toBe(manifestOf({ step: 'one' }).bytes.toString());
    expect((await readKeptChunk(deps, kept, sha256Of('one'))).toString()).toBe('one');
    const [stranger] = await runningJob();
    for (const call of [
      () => readKeptManifest(deps, { jobId: stranger, checkpointId }),
      () => readKeptChunk(deps, { jobId: stranger, checkpointId }, sha256Of('one')),
      () => readKeptChunk(deps, kept, sha256Of('other')),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'checkpoint/not-found' });
  });

  test('a damaged state is told, is nobody’s fault but ours, and the next try begins with the one before', async () => {
    const first = await save({ step: 'one' });
    const second = await save({ step: 'two' });
    const [row] = await connection.db
      .select()
      .from(storedObjects)
      .where(and(eq(storedObjects.jobId, job), eq(storedObjects.sha256, sha256Of('two'))));
    await writeFile(join(folder, row?.key ?? ''), 'tvo');
    const next = await addTryAfterLoss();
    await readStateManifest(deps, next);
    for (let time = 0; time < 2; time += 1) {
      await expect(readStateChunk(deps, next, sha256Of('two'))).rejects.toMatchObject({
        code: 'checkpoint/damaged',
      });
    }
    await reportEnd(deps, next, {
      reason: 'provider-error',
      detail: 'The saved state could not be put back.',
      exit_code: null,
      log_chunks: 0,
    });
    expect((await market.lastLease(job)).endReason).toBe('platform-error');
    const { state, checkpointId } = await market.jobRow(job);
    expect({ state, checkpointId }).toEqual({ state: 'queued', checkpointId: first });
    const { rows } = await connection.pool.query<{ type: string }>(
      `select type from job_events where job_id = $1 and type = 'checkpoint-damaged'`,
      [job],
    );
    expect(rows).toHaveLength(1);
    expect((await listCheckpointsOf(connection.db, job)).find(({ id }) => id === second)?.state).toBe(
      'damaged',
    );
  });
});

describe('what a moved try costs', () => {
  const end = (as: LeaseClaim, reason: EndReason) =>
    connection.db.transaction(async (tx) => {
      const locked = await lockJob(tx, job);
      const lease = await lockLease(tx, as.leaseId);
      invariant(locked && lease, 'both are there');
      return await endLease(tx, market.deps.settings, { job: locked, lease, to: 'releasing', reason });
    });
  const backdate = (id: CheckpointId, seconds: number) =>
    connection.db
      .update(checkpoints)
      .set({ takenAt: sql`now() - make_interval(secs => ${seconds})` })
      .where(eq(checkpoints.id, id));

  test.each(['provider-left', 'preempted', 'peer-lost'] as const)(
    '%s: the time up to the last checkpoint, which the job’s limit has then lost',
    async (reason) => {
      await backdate(await save({ step: 'one' }), 10);
      const closed = await end(claim, reason);
      expect(closed?.billedMs).toBeGreaterThan(19_000);
      expect(closed?.billedMs).toBeLessThan(24_000);
      expect(closed?.costMicros).toBe((BigInt(closed?.billedMs ?? 0) * 360_000n) / 3_600_000n);
      const row = await market.jobRow(job);
      expect(row).toMatchObject({ state: 'queued', usedMs: closed?.billedMs });
      expect(leftSeconds(row)).toBeLessThan(81);
    },
  );

  test('nothing without a checkpoint of its own, and nothing of a try that was lost', async () => {
    expect((await end(claim, 'provider-left'))?.billedMs).toBe(0);
    claim = await addTry(job, 30);
    await save({ step: 'one' });
    expect((await end(claim, 'provider-lost'))?.billedMs).toBe(0);
    claim = await addTry(job, 30);
    expect((await end(claim, 'provider-left'))?.billedMs).toBe(0); // the checkpoint is of another try
    expect((await market.jobRow(job)).usedMs).toBe(0);
  });

  test('a job that moves again and again pays for its time limit once, and ends when it is used up', async () => {
    let billed = 0;
    for (let moves = 0; (await market.jobRow(job)).state !== 'expired'; moves += 1) {
      expect(moves).toBeLessThan(10);
      await save({ step: String(moves) });
      billed += (await end(claim, 'provider-left'))?.billedMs ?? 0;
      if ((await market.jobRow(job)).state === 'queued') claim = await addTry(job, 40);
    }
    expect((await market.jobRow(job)).endReason).toBe('time-limit');
    expect(billed).toBeLessThanOrEqual(100_000);
    expect(billed).toBeGreaterThan(99_000);
  });
});

describe('what machines still have', () => {
  let other: ProviderId;
  beforeAll(async () => {
    other = await market.addMachine(renter, { gpus: testCards(1) });
  });

  /** The try is over for the renter's program's sake, and the job waits for its next one. */
  async function queueAgain(): Promise<void> {
    await connection.db.update(leases).set({ state: 'released' }).where(eq(leases.id, claim.leaseId));
    await connection.db
      .update(jobs)
      .set({ state: 'queued', leaseId: null, queuedAt: sql`now()` })
      .where(eq(jobs.id, job));
  }
  const savedState = async () => (await loadQueuedJobs(connection.db, [job]))[0]?.savedState ?? null;
  const moveTo = async (to: ProviderId) => {
    await queueAgain();
    claim = await addTry(job, 10, to);
  };

  test('the machine that keeps the state gets the next try, and the job’s history says how much is there', async () => {
    const keeper = await market.addMachine(renter, { gpus: testCards(1) });
    await moveTo(keeper);
    await save({ a: 'state', empty: '' }, claim, true);
    await queueAgain();
    const [queued] = await loadQueuedJobs(connection.db, [job]);
    expect(queued?.savedState).toEqual({ bytes: 5, on: [{ providerId: keeper, bytes: 5 }] });
    const place = async (savedState: SavedState | null) => {
      const matcher = new Matcher();
      for (const view of await loadMachines(connection.db, [other, keeper])) matcher.fleet.set(view, 0);
      invariant(queued, 'it waits');
      matcher.enqueue({ ...queued, savedState }, 0);
      return matcher.propose(10, 0).sets;
    };
    // Of a state worth waiting for: a gigabyte.
    const big = (id: ProviderId) => ({ bytes: 1e9, on: [{ providerId: id, bytes: 1e9 }] });
    for (const id of [keeper, other]) expect((await place(big(id)))[0]?.[0]?.providerId).toBe(id);
    await grantLeases(connection.db, market.deps.settings, await place(big(keeper)));
    const events = await connection.db.select().from(jobEvents).where(eq(jobEvents.jobId, job));
    expect(events.find(({ type }) => type === 'matched')?.message).toMatch(
      /All 1\.0 GB of its saved state are there already\.$/,
    );
  });

  test('counts what an older state has in common with the newest, and nothing that only the machine says', async () => {
    const first = await save({ a: 'same', b: 'old' }, claim, true);
    await moveTo(other);
    const second = await save({ a: 'same', b: 'newer' }, claim);
    await queueAgain();
    expect(await savedState()).toEqual({ bytes: 9, on: [{ providerId: machine, bytes: 4 }] });
    const say = (id: ProviderId, checkpoint: CheckpointId) =>
      noteKeptStates(market.deps, id, [{ job_id: job, checkpoint_id: checkpoint }]);
    expect(await say(other, second)).toEqual([]);
    expect(await say(machine, newId('checkpoint'))).toEqual([]);
    expect(await savedState()).toEqual({ bytes: 9, on: [{ providerId: other, bytes: 9 }] });
    expect(await say(machine, first)).toEqual([]);
    expect((await savedState())?.on).toHaveLength(2);
    // It has thrown it away.
    expect(await noteKeptStates(market.deps, machine, [])).toEqual([]);
    expect((await savedState())?.on).toEqual([{ providerId: other, bytes: 9 }]);
  });

  test('a machine is to forget jobs that are over, and learns nothing about those that it never had', async () => {
    const checkpoint = await save({ a: 'state' }, claim, true);
    const [strange] = await runningJob();
    const unknown = newId('job');
    await queueAgain();
    await connection.db
      .update(jobs)
      .set({ state: 'succeeded', endReason: 'exited-zero', finishedAt: sql`now()` })
      .where(eq(jobs.id, job));
    const kept = [job, strange, unknown].map((job_id) => ({ job_id, checkpoint_id: checkpoint }));
    expect(await noteKeptStates(market.deps, other, kept)).toEqual([job, strange, unknown]);
    expect(await noteKeptStates(market.deps, machine, [...kept, ...kept])).toContain(job);
    // One that is away does not say so; the sweep forgets for it.
    const row = { providerId: other, jobId: job, checkpointId: checkpoint, countedFor: checkpoint, bytes: 5 };
    await connection.db.insert(keptStates).values(row);
    await sweep(3_600);
    expect(await connection.db.select().from(keptStates).where(eq(keptStates.jobId, job))).toEqual([]);
  });
});

/** The machine is lost and the job is tried again, from its state. */
async function addTryAfterLoss(): Promise<LeaseClaim> {
  await connection.db.update(leases).set({ state: 'lost' }).where(eq(leases.id, claim.leaseId));
  claim = await addTry(job, 0);
  return claim;
}

function ignoreBusy(thrown: unknown): undefined {
  if (thrown instanceof Error && 'code' in thrown && thrown.code === 'server/busy') return;
  throw thrown;
}
