import type { Pool } from 'pg';

/**
 * What the same database reaches with rows of the size of a transfer: a table with a key and nothing else, no
 * balances, no rules, so many rows in one durable transaction.
 *
 * @returns rows per second
 */
export async function plainInserts(
  pool: Pool,
  { batch, clients, seconds }: { batch: number; clients: number; seconds: number },
): Promise<number> {
  await pool.query('drop table if exists plain_rows');
  await pool.query(
    'create table plain_rows (id text primary key, kind text, debit text, credit text, amount bigint, job text, lease text, at timestamptz(3) default now())',
  );
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  let next = 0;
  let done = 0;
  const client = async () => {
    while (performance.now() < endsAt) {
      const ids = Array.from({ length: batch }, () => {
        next += 1;
        return `hold:job_${String(next).padStart(26, '0')}`;
      });
      const account = ids.map(() => 'acct_01k000000000000000000000ab');
      const connection = await pool.connect();
      try {
        await connection.query('begin');
        await connection.query(
          `insert into plain_rows (id, kind, debit, credit, amount, job, lease)
           select * from unnest($1::text[], $2::text[], $3::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])`,
          [
            ids,
            ids.map(() => 'hold'),
            account,
            ids.map(() => '100'),
            ids.map((id) => id.slice(5)),
            ids.map(() => null),
          ],
        );
        await connection.query('commit');
      } finally {
        connection.release();
      }
      done += batch;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const perSecond = (done * 1_000) / (performance.now() - startedAt);
  await pool.query('drop table plain_rows');
  return perSecond;
}
