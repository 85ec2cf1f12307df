import type { CheckpointView } from '@computefabric/protocol/user-api/checkpoints';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { findJob } from '../jobs/find-job.ts';
import { table } from '../terminal/table.ts';

/** `checkpoints JOB`: the state of a job that the market keeps, newest first. */
export async function showCheckpoints(cli: Cli, reference: string): Promise<number> {
  const client = await cli.client();
  const job = await findJob(cli, client, reference);
  const { items } = await client.jobs.checkpoints(job.id);
  if (cli.json) cli.printJson({ items });
  else if (items.length === 0) cli.say(noneText(job));
  else for (const line of checkpointsTable(items)) cli.print(line);
  return exitCode('ok');
}

/** The newest state in one line; null for a job that keeps none. */
export function lastCheckpointText(job: JobView, items: readonly CheckpointView[]): string | null {
  if (!job.checkpoint) return null;
  const last = items.find((item) => item.next) ?? items[0];
  if (!last) return `${job.checkpoint.path}, every ${job.checkpoint.every_seconds} s; none yet`;
  return `${last.taken_at}, ${formatBytes(last.size_bytes)}, of try ${last.attempt}`;
}

function checkpointsTable(items: readonly CheckpointView[]): string[] {
  const columns = [
    { title: 'TAKEN' },
    { title: 'TRY', align: 'right' as const },
    { title: 'FILES', align: 'right' as const },
    { title: 'SIZE', align: 'right' as const },
    { title: 'NEW', align: 'right' as const },
    { title: 'STATE' },
  ];
  const rows = items.map((item) => [
    item.taken_at,
    `${item.attempt}`,
    `${item.files}`,
    formatBytes(item.size_bytes),
    formatBytes(item.new_bytes),
    item.next ? `${item.state}, the next try begins here` : item.state,
  ]);
  return table(columns, rows);
}

function noneText(job: JobView): string {
  if (!job.checkpoint)
    return `${job.name} declares no checkpoint directory, so it begins anew on each machine.`;
  return `${job.name} has saved no state yet, or ended some time ago.`;
}
