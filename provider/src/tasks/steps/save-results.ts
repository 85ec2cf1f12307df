import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { limits } from '@computefabric/protocol/limits';
import { isSafeRelativePath } from '@computefabric/protocol/provider-api/v1/leases';
import { withDeadline } from '@computefabric/runtime/wait';
import type { OutputCollection } from '../../container/container-driver.ts';
import { isContainerError } from '../../container/container-error.ts';
import { CallRefused } from '../../control-plane/client.ts';
import type { ResultFile } from '../../control-plane/lease-reports.ts';
import { outputMissing } from '../../run-logs/task-output.ts';
import type { TaskContext } from '../task-context.ts';
import { bringsResults } from '../task-machine.ts';

/** The engine has all output when a program has ended; this is for it to hand over as much as it may hold. */
const lastOutputMs = 300_000;
/** Names in the remark about files that were left out. */
const mostNames = 20;

/** Brings everything home that the try has produced: the rest of its output and its result files. */
export async function saveResults(task: TaskContext): Promise<void> {
  const { journal, output } = task;
  const { record } = journal;
  if (record.startedAt && record.containerId && !record.removed)
    await readLastOutput(task, record.containerId);
  if (bringsResults(record) && record.containerId) await sendResults(task, record.containerId);
  await output.finish();
  await output.ship();
  await journal.update({ saved: true, logs: output.counters });
}

/** Reads the output of an ended program to its end. What the engine does not hand over in time is lost. */
export async function readLastOutput(
  { output, log, signal }: TaskContext,
  containerId: string,
): Promise<void> {
  try {
    await withDeadline(output.readToEnd(containerId), lastOutputMs, 'reading the last output');
  } catch (thrown) {
    signal.throwIfAborted();
    log.error({ err: thrown }, 'the last output could not be read');
    output.stopReading();
    await output.remark('gap', outputMissing);
  }
}

/**
 * Copies the files out of the container first and sends them afterwards: size and hash are announced before
 * the bytes, and an orchestrator that is away must not hold the engine's archive open.
 */
async function sendResults(task: TaskContext, containerId: string): Promise<void> {
  const { journal, reports, output, signal } = task;
  const { results: folder } = journal.files;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files: ResultFile[] = [];
  const left: string[] = [];
  try {
    const collection = await task.driver.collectOutputs(
      containerId,
      { maxFiles: limits.artifactFiles, maxBytes: limits.artifactBytes },
      async (path, sizeBytes, content) => {
        if (path.length > limits.artifactPathChars || !isSafeRelativePath(path)) {
          left.push(`${path.slice(0, 80)} (name)`);
          return;
        }
        const file = join(folder, String(files.length));
        const sha256 = await copyWithHash(content, file);
        files.push({ path, sizeBytes, sha256, file });
      },
      { signal },
    );
    left.push(...describeSkipped(collection));
  } catch (thrown) {
    // The renter's own doing, in the end: a program can fill /outputs with what no archive can hold.
    if (!isContainerError(thrown, 'outputs-unreadable')) throw thrown;
    left.push(`the rest (${thrown.message})`);
  }
  for (const file of files) {
    try {
      await reports.putResult(file, signal);
    } catch (thrown) {
      // Bytes that were spoilt on the way are sent again; what else is refused would be refused again.
      if (!(thrown instanceof CallRefused) || thrown.code === 'artifact/hash-mismatch') throw thrown;
      left.push(`${file.path} (${thrown.code})`);
    }
    await rm(file.file);
  }
  if (left.length === 0) return;
  const names = left.slice(0, mostNames).join(', ');
  const more = left.length > mostNames ? `, and ${left.length - mostNames} more` : '';
  await output.remark('results-left-out', `Not saved from /outputs: ${names}${more}.\n`);
}

async function copyWithHash(content: NodeJS.ReadableStream, file: string): Promise<string> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(part: Buffer, _encoding, done) {
      hash.update(part);
      done(null, part);
    },
  });
  await pipeline(content, hashing, createWriteStream(file, { mode: 0o600 }));
  return hash.digest('hex');
}

function describeSkipped({ skipped, skippedCount, truncated }: OutputCollection): string[] {
  const shown = skipped.slice(0, 10).map(({ path, reason }) => `${path} (${reason})`);
  const more = skippedCount - shown.length;
  if (more > 0) shown.push(`${more} more`);
  if (truncated) shown.push('whatever came after that');
  return shown;
}
