import type { Db } from '@computefabric/db/client';
import { jobs } from '@computefabric/db/schema/jobs';
import { leases } from '@computefabric/db/schema/leases';
import { users } from '@computefabric/db/schema/users';
import { newBearer } from '@computefabric/protocol/api-key';
import { type JobId, type LeaseId, newId, type ProviderId, type UserId } from '@computefabric/protocol/ids';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import { invariant } from '@computefabric/runtime/invariant';
import { silentLogger } from '@computefabric/runtime/log';
import { desc, eq, sql } from 'drizzle-orm';
import { MarketMatcher } from '../leases/market-matcher.ts';
import type { LeaseClaim } from '../leases/lease.store.ts';
import type { LeaseDeps } from '../leases/lease-deps.ts';
import { openProviderSession } from '../sessions/open-session.ts';
import { insertProvider } from '../providers/provider.store.ts';

export const testInventory: Inventory = {
  hostname: 'testbox',
  os: 'Debian 12',
  arch: 'x64',
  cpu_model: 'test',
  cpus: 8,
  memory_mib: 16_384,
  disk_free_mib: 100_000,
  docker_version: '28',
  gpus: [],
  price_per_gpu_hour_micros: '360000',
  price_per_cpu_hour_micros: '36000',
  spot_percent: 100,
  shares_gpus: false,
  move_grace_seconds: 600,
  region: '',
  cuda_version: null,
  networks: ['none', 'allowlist', 'internet'],
  network_note: '',
  disk_limited: true,
  disk_note: '',
  sandbox: 'containers',
  cached_images: [],
};

export function testCards(count: number, memoryMib = 24_564): Inventory['gpus'] {
  return Array.from({ length: count }, (_, index) => ({
    uuid: `GPU-test-${index}`,
    index,
    name: 'NVIDIA GeForce RTX 4090',
    memory_mib: memoryMib,
    driver_version: null,
    compute_capability: null,
    simulated: true,
  }));
}

/** People, machines and jobs in a real database, made with the use cases where there is one. */
export function marketFixture(db: Db, settings: Partial<LeaseDeps['settings']> = {}) {
  const staleCalls: string[] = [];
  const deps: LeaseDeps = {
    db,
    log: silentLogger,
    onStaleCall: (call) => staleCalls.push(call),
    settings: {
      leaseTtlSeconds: 30,
      offerSeconds: 15,
      heartbeatSeconds: 10,
      maxAttempts: 3,
      preemptionNoticeSeconds: 30,
      platformFeeBps: 0,
      priceFloorPerGpuHourMicros: 0n,
      ...settings,
    },
  };

  async function addUser(): Promise<UserId> {
    const id = newId('user');
    await db.insert(users).values({ id, email: `${id}@test.invalid` });
    return id;
  }

  async function addMachine(ownerId: UserId, inventory: Partial<Inventory> = {}): Promise<ProviderId> {
    const id = newId('provider');
    await db.transaction(async (tx) => {
      const { secretHash } = newBearer('provider');
      await insertProvider(tx, {
        id,
        ownerId,
        name: id.slice(-6),
        proof: { credentialHash: secretHash },
        agentVersion: 'test',
      });
    });
    await sayHello(id, inventory);
    return id;
  }

  function sayHello(id: ProviderId, inventory: Partial<Inventory> = {}, tasks: HeldTask[] = []) {
    return openProviderSession(deps, id, {
      agent_version: 'test',
      inventory: { ...testInventory, ...inventory },
      tasks,
    });
  }

  async function addJob(userId: UserId, needs: Partial<typeof jobs.$inferInsert> = {}): Promise<JobId> {
    const id = newId('job');
    await db.insert(jobs).values({
      id,
      userId,
      name: id.replace('_', '-'),
      image: 'busybox',
      command: 'true',
      env: {},
      gpus: 1,
      gpuModels: [],
      minVramMib: 0,
      cpuMilli: 1_000,
      memoryMib: 512,
      timeLimitSeconds: 60,
      maxPricePerHourMicros: 1_000_000n,
      holdMicros: 1_000_000n,
      ...needs,
    });
    return id;
  }

  /** One pass of the matcher: what it proposes is granted. */
  async function matchOnce(): Promise<('granted' | 'stale')[]> {
    const { granted, stale } = await new MarketMatcher(deps).pass();
    return [
      ...Array.from({ length: granted }, () => 'granted' as const),
      ...Array.from({ length: stale }, () => 'stale' as const),
    ];
  }

  async function lastLease(jobId: JobId) {
    const [row] = await db
      .select()
      .from(leases)
      .where(eq(leases.jobId, jobId))
      .orderBy(desc(leases.attempt))
      .limit(1);
    invariant(row, `${jobId} has a lease`);
    return row;
  }

  async function claimOf(jobId: JobId): Promise<LeaseClaim> {
    const { id, providerId, fence } = await lastLease(jobId);
    return { leaseId: id, providerId, fence };
  }

  async function jobRow(jobId: JobId) {
    const [row] = await db.select().from(jobs).where(eq(jobs.id, jobId));
    invariant(row, `${jobId} exists`);
    return row;
  }

  /** Makes time pass for a lease, on the clock that counts: the database's. */
  async function ageLease(leaseId: LeaseId, seconds: number): Promise<void> {
    const earlier = (column: typeof leases.expiresAt | typeof leases.startedAt) =>
      sql`${column} - make_interval(secs => ${seconds})`;
    await db
      .update(leases)
      .set({ expiresAt: earlier(leases.expiresAt), startedAt: earlier(leases.startedAt) })
      .where(eq(leases.id, leaseId));
  }

  async function endBackoff(jobId: JobId): Promise<void> {
    await db.update(jobs).set({ notBefore: null }).where(eq(jobs.id, jobId));
  }

  return {
    deps,
    staleCalls,
    addUser,
    addMachine,
    sayHello,
    addJob,
    matchOnce,
    lastLease,
    claimOf,
    jobRow,
    ageLease,
    endBackoff,
  };
}

type HeldTask = Parameters<typeof openProviderSession>[2]['tasks'][number];
