import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { Client } from '@computefabric/api-client/client';
import { checkpointManifest } from '@computefabric/protocol/provider-api/v1/checkpoints';
import type { CheckpointView } from '@computefabric/protocol/user-api/checkpoints';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import type { Cli } from '../cli.ts';
import { CliError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { writeState } from '../files/write-state.ts';
import { findJob } from '../jobs/find-job.ts';
import { plainText } from '../terminal/plain-text.ts';
import { table } from '../terminal/table.ts';

export interface CheckpointsFlags {
  /** A folder, or true for the default one. */
  download?: string | true;
  files?: boolean;
  force?: boolean;
}

/** `checkpoints JOB`: the state of a job that the market keeps, newest first; its files, or all of it, with flags. */
export async function showCheckpoints(
  cli: Cli,
  reference: string,
  flags: CheckpointsFlags = {},
): Promise<number> {
  const client = await cli.client();
  const job = await findJob(cli, client, reference);
  const { items } = await client.jobs.checkpoints(job.id);
  if (flags.download !== undefined || flags.files) return await newestState(cli, client, job, items, flags);
  if (cli.json) cli.printJson({ items });
  else if (items.length === 0) cli.say(noneText(job));
  else {
    for (const line of checkpointsTable(items)) cli.print(line);
    cli.say(`  fetch it     ${cli.program} checkpoints ${job.name} --download`);
  }
  return exitCode('ok');
}

/** The state with which the next try would begin, or the newest of a job that has ended: listed or fetched. */
async function newestState(
  cli: Cli,
  client: Client,
  job: JobView,
  items: readonly CheckpointView[],
  { download, force = false }: CheckpointsFlags,
): Promise<number> {
  const checkpoint = items.find(({ next }) => next) ?? items.find(({ state }) => state === 'complete');
  if (!checkpoint)
    throw new CliError({
      code: 'checkpoint/not-found',
      message: noneText(job).replace(/\.$/, ''),
      exit: 'error',
    });
  const manifest = readManifest(await client.jobs.checkpoint(job.id, checkpoint.id));
  if (download === undefined) {
    const files = manifest.files.map(({ path, size_bytes }) => ({ path, size_bytes }));
    if (cli.json) cli.printJson({ checkpoint_id: checkpoint.id, taken_at: checkpoint.taken_at, files });
    else {
      const columns = [{ title: 'FILE' }, { title: 'SIZE', align: 'right' as const }];
      const rows = files.map(({ path, size_bytes }) => [plainText(path), formatBytes(size_bytes)]);
      for (const line of table(columns, rows)) cli.print(line);
      cli.say(`  as of ${checkpoint.taken_at}, of try ${checkpoint.attempt}`);
    }
    return exitCode('ok');
  }
  const folder = resolve(download === true ? `${job.name}-state` : download);
  const left = await writeState(
    {
      manifest,
      chunk: (sha256) => client.jobs.chunk(job.id, checkpoint.id, sha256),
      onFile: (path, sizeBytes) => {
        if (cli.json) return;
        cli.print(plainText(join(folder, path)));
        cli.say(`  ${formatBytes(sizeBytes)}`);
      },
    },
    folder,
    force,
  );
  for (const path of left)
    cli.say(`  left out     ${plainText(path)}: a link that leads out of the folder, or nowhere`);
  if (cli.json) cli.printJson({ folder, checkpoint_id: checkpoint.id, files: manifest.files.length, left });
  return exitCode('ok');
}

/** The list, held against its hash: what is written here is decided here. */
function readManifest({ manifest, manifest_sha256 }: { manifest: string; manifest_sha256: string }) {
  const isWhole = createHash('sha256').update(manifest).digest('hex') === manifest_sha256;
  const parsed = isWhole ? checkpointManifest.safeParse(JSON.parse(manifest)) : null;
  if (parsed?.success) return parsed.data;
  throw new CliError({
    code: 'checkpoint/damaged',
    message: 'the list of what the checkpoint holds is not valid',
    exit: 'error',
  });
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
