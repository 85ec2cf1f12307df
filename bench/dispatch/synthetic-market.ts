import type { Db, Tx } from '@computefabric/db/client';
import { sql } from 'drizzle-orm';

/** Accounts that the jobs belong to, so that fairness has something to do. */
const accounts = 10;
/** GPUs of each machine; a job takes one. */
export const gpusPerMachine = 8;

/** Ids with a number in them: hexadecimal digits are digits of an id too. */
const id = (prefix: string, n: string) => sql.raw(`'${prefix}_' || lpad(to_hex(${n}), 26, '0')`);

/** Owners, renters and machines that are online; nothing runs and nothing waits. */
export async function fillMachines(db: Db | Tx, machines: number): Promise<void> {
  await db.execute(sql`insert into users (id, email)
    select ${id('user', 'n')}, 'u' || n || '@bench.invalid' from generate_series(1, ${accounts}) n`);
  await db.execute(sql`insert into providers (id, owner_id, name, state, credential_hash, cpu_milli, memory_mib,
      disk_free_mib, price_per_gpu_hour_micros, price_per_cpu_hour_micros, cached_images, last_seen_at)
    select ${id('prov', 'n')}, ${id('user', `1 + n % ${accounts}`)}, 'm' || n, 'online', 'x' || n, 64000, 524288,
      1000000, 350000, 20000, '{}', now() from generate_series(1, ${machines}) n`);
  await db.execute(sql`insert into gpus (id, provider_id, uuid, index, name, memory_mib, simulated)
    select ${id('gpu', `n * ${gpusPerMachine} + g`)}, ${id('prov', 'n')}, 'GPU-' || n || '-' || g, g,
      'NVIDIA GeForce RTX 4090', 24564, true
    from generate_series(1, ${machines}) n, generate_series(0, ${gpusPerMachine - 1}) g`);
}

/** So many jobs that wait, numbered from `first`. */
export async function fillJobs(db: Db | Tx, first: number, count: number): Promise<string[]> {
  const { rows } = await db.execute<{
    id: string;
  }>(sql`insert into jobs (id, user_id, name, image, command, env, gpus,
      gpu_models, min_vram_mib, cpu_milli, memory_mib, time_limit_seconds, max_price_per_hour_micros, hold_micros, regions,
      network_allow)
    select ${id('job', 'n')}, ${id('user', `1 + n % ${accounts}`)}, 'j' || n, 'busybox', '"true"', '{}', 1, '{}', 0,
      1000, 1024, 3600, 1000000, 0, '{}', '{}'
    from generate_series(${first}::int, ${first + count - 1}::int) n returning case when ${count} <= 100000 then id end as id`);
  return rows.map((row) => row.id).filter((each) => each !== null);
}

/** Ends everything that is leased, as if the machines had done it; the machines that are free again. */
export async function endAllLeases(db: Db): Promise<string[]> {
  const { rows } = await db.execute<{ id: string }>(sql`with ended as (
      update leases set state = 'released', ended_at = now(), released_at = now(), end_reason = 'exited-zero'
      where state in ('offered', 'active', 'releasing') returning job_id, provider_id
    ), finished as (
      update jobs set state = 'succeeded', lease_id = null, end_reason = 'exited-zero', finished_at = now()
      from ended where jobs.id = ended.job_id
    ) select distinct provider_id as id from ended`);
  return rows.map((row) => row.id);
}
