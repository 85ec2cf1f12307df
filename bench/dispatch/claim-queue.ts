import type { Pool } from 'pg';

/**
 * What a plain job queue on the same database reaches: workers that claim rows with FOR UPDATE SKIP LOCKED and
 * complete them, a number at a time in each transaction. It knows no machines, prices or fairness.
 *
 * @returns jobs per second
 */
export async function claimQueue(
  pool: Pool,
  { jobs, clients, batch }: { jobs: number; clients: number; batch: number },
): Promise<number> {
  await pool.query('drop table if exists plain_queue');
  await pool.query(
    `create table plain_queue (id bigint primary key, state text not null, payload jsonb not null)`,
  );
  await pool.query(`create index plain_queue_ready on plain_queue (id) where state = 'ready'`);
  await pool.query(`insert into plain_queue select n, 'ready', '{}' from generate_series(1, ${jobs}::int) n`);
  await pool.query('analyze plain_queue');
  const startedAt = performance.now();
  let done = 0;
  const worker = async () => {
    for (;;) {
      const { rows } = await pool.query<{ id: string }>(
        `update plain_queue set state = 'taken' where id in (
           select id from plain_queue where state = 'ready' order by id limit $1 for update skip locked
         ) returning id`,
        [batch],
      );
      if (rows.length === 0) return;
      await pool.query(`update plain_queue set state = 'done' where id = any($1)`, [
        rows.map(({ id }) => id),
      ]);
      done += rows.length;
    }
  };
  await Promise.all(Array.from({ length: clients }, worker));
  const seconds = (performance.now() - startedAt) / 1_000;
  await pool.query('drop table plain_queue');
  return done / seconds;
}
