import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from '@computefabric/api-client/client';
import type { Artifact } from '@computefabric/protocol/user-api/artifacts';
import type { GroupView } from '@computefabric/protocol/user-api/groups';
import type { JobSummary, JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { findTarget } from '../groups/find-target.ts';
import { makeFolderInside, targetOf } from '../files/safe-target.ts';
import { JobOutput } from '../jobs/job-output.ts';
import { isFinal } from '../jobs/outcome.ts';
import { whole } from '../jobs/flag-values.ts';
import { plainText } from '../terminal/plain-text.ts';
import { table } from '../terminal/table.ts';
import { nearest } from '@computefabric/protocol/grammar/similar';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';

export interface ArtifactsFlags {
  /** A folder, or true for the default one. */
  download?: string | true;
  attempt?: string;
  force?: boolean;
  cat?: string;
}

/** `artifacts JOB`: lists the result files; with --download brings them here, with --cat prints one. */
export async function showArtifacts(cli: Cli, reference: string, flags: ArtifactsFlags): Promise<number> {
  if (flags.download !== undefined && flags.cat !== undefined) {
    throw usageError('--download and --cat cannot be used together');
  }
  if (flags.cat !== undefined && cli.json) throw usageError('--cat gives the bytes of a file, not JSON');
  const client = await cli.client();
  const target = await findTarget(cli, client, reference);
  if (target.kind === 'group') return await groupArtifacts(cli, client, target.group, flags);
  const { job } = target;
  const all = (await client.artifacts.list(job.id)).items;
  const attempt =
    flags.attempt === undefined
      ? Math.max(0, ...all.map((item) => item.attempt))
      : whole(flags.attempt, '--attempt', 1);
  const items = all.filter((item) => item.attempt === attempt);
  if (flags.cat !== undefined) return await printFile(cli, client, job, items, flags.cat);
  if (flags.download !== undefined) {
    const folder = resolve(flags.download === true ? job.name : flags.download);
    return await downloadAll(cli, client, job, items, folder, flags.force ?? false);
  }
  if (cli.json) cli.printJson({ items });
  else if (items.length === 0) cli.say(noneText(job));
  else {
    const rows = items.map((item) => [
      plainText(item.path),
      formatBytes(item.size_bytes),
      item.sha256.slice(0, 12),
    ]);
    const columns = [{ title: 'FILE' }, { title: 'SIZE', align: 'right' as const }, { title: 'SHA-256' }];
    for (const line of table(columns, rows)) cli.print(line);
    cli.say(`  fetch them   ${cli.program} artifacts ${job.name} --download`);
  }
  return exitCode('ok');
}

/** Files of all members: each member's last try that has some goes into a folder named by its index. */
async function groupArtifacts(
  cli: Cli,
  client: Client,
  group: GroupView,
  flags: ArtifactsFlags,
): Promise<number> {
  if (flags.cat !== undefined || flags.attempt !== undefined)
    throw usageError('--cat and --attempt are about one job', `such as ${group.name}/0`);
  const members = await listMembers(client, group.id);
  const folder = resolve(typeof flags.download === 'string' ? flags.download : group.name);
  const listed: { index: number; job_id: string; items: Artifact[] }[] = [];
  for (const job of members) {
    const all = (await client.artifacts.list(job.id)).items;
    const attempt = Math.max(0, ...all.map((item) => item.attempt));
    const items = all.filter((item) => item.attempt === attempt);
    if (items.length === 0) continue;
    const index = job.group?.index ?? 0;
    listed.push({ index, job_id: job.id, items });
    if (flags.download === undefined) {
      if (!cli.json)
        for (const item of items)
          cli.print(`${index}/${plainText(item.path)}  ${formatBytes(item.size_bytes)}`);
    } else await fetchAll(cli, client, job.id, items, join(folder, String(index)), flags.force ?? false);
  }
  if (cli.json) cli.printJson({ ...(flags.download === undefined ? {} : { folder }), members: listed });
  else if (listed.length === 0) cli.say(`${group.name} has no result files.`);
  else if (flags.download === undefined)
    cli.say(`  fetch them   ${cli.program} artifacts ${group.name} --download`);
  return exitCode('ok');
}

/** All members by index. */
async function listMembers(client: Client, group: string): Promise<JobSummary[]> {
  const members: JobSummary[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.jobs.list({ group, limit: 200, cursor });
    members.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return members.toReversed();
}

async function downloadAll(
  cli: Cli,
  client: Client,
  job: JobView,
  items: readonly Artifact[],
  folder: string,
  force: boolean,
): Promise<number> {
  if (items.length === 0) cli.say(noneText(job));
  const done = await fetchAll(cli, client, job.id, items, folder, force);
  if (cli.json) cli.printJson({ folder, items: done });
  return exitCode('ok');
}

interface FetchedFile {
  path: string;
  file: string;
  size_bytes: number;
  sha256: string;
  downloaded: boolean;
}

/** Brings files of a job into a folder, telling of each. */
async function fetchAll(
  cli: Cli,
  client: Client,
  jobId: string,
  items: readonly Artifact[],
  folder: string,
  force: boolean,
): Promise<FetchedFile[]> {
  const done: FetchedFile[] = [];
  for (const item of items) {
    const file = targetOf(item.path, folder);
    const { path, size_bytes, sha256 } = item;
    await makeFolderInside(dirname(file), folder);
    const downloaded = !(await isThere(file, item, force));
    if (downloaded) {
      await client.artifacts.download(jobId, item, file, {
        onProgress: (bytes) =>
          cli.terminal.live(`${plainText(path)}  ${formatBytes(bytes)} of ${formatBytes(size_bytes)}`),
      });
    }
    done.push({ path, file, size_bytes, sha256, downloaded });
    if (!cli.json) {
      cli.print(plainText(file));
      cli.say(`  ${formatBytes(size_bytes)}${downloaded ? '' : ', was here already'}`);
    }
  }
  return done;
}

async function printFile(
  cli: Cli,
  client: Client,
  job: JobView,
  items: readonly Artifact[],
  path: string,
): Promise<number> {
  const item = items.find((known) => known.path === path);
  if (!item) {
    const similar = nearest(
      path,
      items.map((known) => known.path),
    );
    throw new CliError({
      code: 'artifact/not-found',
      message: `${job.name} has no result file "${path}"`,
      help: [
        ...(similar ? [`a similar file exists:   ${similar}`] : []),
        `see them all:            ${cli.program} artifacts ${job.name}`,
      ],
      exit: 'error',
    });
  }
  // Through the filter for job output: on a terminal, the bytes of a file could drive it as well.
  const output = new JobOutput(cli);
  const target = new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      output.bytes('stdout', chunk, item.created_at).then(() => done(), done);
    },
  });
  await client.artifacts.download(job.id, item, target, { signal: cli.terminal.readerGone });
  await output.end();
  return exitCode('ok');
}

/** True when the very same file is there already. @throws CliError when another one is, unless `force`. */
async function isThere(file: string, item: Artifact, force: boolean): Promise<boolean> {
  let there: Stats;
  try {
    there = await lstat(file);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return false;
    throw thrown;
  }
  if (there.isFile() && there.size === item.size_bytes && (await hashOf(file)) === item.sha256) return true;
  if (force && !there.isDirectory()) return false;
  throw new CliError({
    code: 'cli/file',
    message: `${file} exists and is another file`,
    help: ['overwrite it with --force, or choose a folder with --download DIR'],
    exit: 'error',
  });
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function noneText(job: JobView): string {
  return isFinal(job.state)
    ? `${job.name} has no result files: its program wrote none to /outputs.`
    : `${job.name} has no result files yet: they come when it ends. It is ${job.state}.`;
}
