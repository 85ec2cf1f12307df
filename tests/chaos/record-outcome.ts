import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChaosMarket } from './chaos-market.ts';
import type { HistoryLine, HistoryWriter } from './history.ts';

/** Jobs that are read at once. */
const readers = 4;
/** Files that are really downloaded; of the others the hash in the list is believed. */
const downloads = 20;

/** Writes down how everything has ended: what the API says of each job, and the rows of tries and money. */
export async function recordOutcome(
  market: ChaosMarket,
  history: HistoryWriter,
  jobIds: readonly string[],
): Promise<void> {
  const listed = await recordTables(market, history);
  // Also jobs that nobody knows to have submitted.
  const queue = [...new Set([...jobIds, ...listed])];
  const left = { downloads };
  await Promise.all(
    Array.from({ length: readers }, async () => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift())
        await recordJob(market, history, id, left);
    }),
  );
}

async function recordJob(
  market: ChaosMarket,
  history: HistoryWriter,
  jobId: string,
  left: { downloads: number },
): Promise<void> {
  const { client } = market;
  const job = await client.jobs.get(jobId);
  history.add({
    kind: 'job',
    jobId,
    state: job.state,
    endReason: job.end_reason,
    exitCode: job.exit_code,
    attempts: job.attempts,
    costMicros: job.cost_micros,
    timeLimitSeconds: job.time_limit_seconds,
  });
  let cursor: string | undefined;
  do {
    const page = await client.jobs.events(jobId, { limit: 200, cursor });
    for (const { seq, at, type, state, lease_id: leaseId } of page.items)
      history.add({ kind: 'event', jobId, seq, at: Date.parse(at), type, state, leaseId });
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  const attempt = job.attempts;
  if (attempt === 0) return;
  let stdout = '';
  for await (const page of client.logs.all(jobId, { attempt })) {
    for (const { stream, encoding, data } of page.entries)
      if (stream === 'stdout')
        stdout += encoding === 'utf-8' ? data : Buffer.from(data, 'base64').toString('latin1');
  }
  history.add({ kind: 'output', jobId, attempt, stdout });
  for (const file of (await client.artifacts.list(jobId)).items) {
    let downloadedSha256: string | null = null;
    if (left.downloads > 0) {
      left.downloads -= 1;
      const path = join(market.home, file.id);
      await client.artifacts.download(jobId, file, path);
      downloadedSha256 = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
      await rm(path);
    }
    const { path, size_bytes: sizeBytes, sha256 } = file;
    history.add({ kind: 'file', jobId, attempt: file.attempt, path, sizeBytes, sha256, downloadedSha256 });
  }
}

/** Straight from the tables: fences are told to machines alone, and whoever checks the books must see all. */
async function recordTables({ database }: ChaosMarket, history: HistoryWriter): Promise<string[]> {
  const moments = (...columns: string[]) =>
    columns.map((name) => `floor(extract(epoch from ${snake(name)}) * 1000)::float8 as "${name}"`).join(', ');
  const leases = await database.query<Omit<Extract<HistoryLine, { kind: 'lease' }>, 'kind'>>(`
    select id as "leaseId", job_id as "jobId", provider_id as "providerId", attempt, fence::float8 as fence, state,
      ${moments('offeredAt', 'acceptedAt', 'startedAt', 'exitedAt', 'silentAt', 'endedAt', 'releasedAt')},
      silent_ms::float8 as "silentMs", end_reason as "endReason", exit_code as "exitCode",
      price_per_hour_micros::text as "pricePerHourMicros", billed_ms::float8 as "billedMs",
      cost_micros::text as "costMicros", earned_micros::text as "earnedMicros"
    from leases order by fence`);
  for (const lease of leases) history.add({ kind: 'lease', ...lease });
  const transfers = await database.query<Omit<Extract<HistoryLine, { kind: 'transfer' }>, 'kind'>>(`
    select id, kind as transfer, debit_account_id as debit, credit_account_id as credit,
      amount_micros::text as "amountMicros", job_id as "jobId", lease_id as "leaseId" from ledger_transfers`);
  for (const transfer of transfers) history.add({ kind: 'transfer', ...transfer });
  const accounts = await database.query<Omit<Extract<HistoryLine, { kind: 'account' }>, 'kind'>>(`
    select id, kind as account, owner_id as owner, credits_micros::text as "creditsMicros",
      debits_micros::text as "debitsMicros" from ledger_accounts`);
  for (const account of accounts) history.add({ kind: 'account', ...account });
  const payments = await database.query<Omit<Extract<HistoryLine, { kind: 'payment' }>, 'kind'>>(`
    select job_id as "jobId", state, hold_micros::text as "holdMicros", amount_micros::text as "amountMicros"
    from payments`);
  for (const payment of payments) history.add({ kind: 'payment', ...payment });
  return (await database.query<{ id: string }>('select id from jobs')).map(({ id }) => id);
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
