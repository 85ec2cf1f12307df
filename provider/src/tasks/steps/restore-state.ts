import { invariant } from '@computefabric/runtime/invariant';
import { withDeadline } from '@computefabric/runtime/wait';
import { chunksOf } from '../../checkpoints/kept-states.ts';
import { isChunk, readManifest, stateArchive, StateMismatch } from '../../checkpoints/restore-archive.ts';
import { CallRefused } from '../../control-plane/client.ts';
import { LeaseGone } from '../../control-plane/lease-reports.ts';
import type { TaskContext } from '../task-context.ts';
import { TaskFailure } from '../task-failure.ts';

/** The slowest line that a state is given, beside a minute: 64 KiB/s; and never more than this. */
const mostSeconds = 7_200;
const restoreSeconds = (bytes: number) => Math.min(60 + Math.ceil(bytes / 65_536), mostSeconds);

const explanationMs = 1_000;

/** A chunk that came wrong over the line comes right the next time; one that is wrong there is told by them. */
const mostFetches = 3;

/**
 * Puts the state of the try before back, into a container that has not been started. What does not come whole
 * and right ends the try: the program must never begin with half a state. What this machine still has of it from an
 * earlier try is not fetched, and what is fetched stays for a later one.
 */
export async function restoreState(task: TaskContext): Promise<void> {
  const { journal, driver, reports, halt, log, states } = task;
  const { containerId, spec } = journal.record;
  invariant(containerId && spec.checkpoint, 'a state is put into the container that was made for it');
  const signal = AbortSignal.any([task.signal, halt]);
  const startedAt = performance.now();
  try {
    const { checkpointId, manifest: text, sha256 } = await reports.readState(signal);
    const manifest = readManifest(text, sha256);
    const chunks = chunksOf(manifest);
    const keeps = await states.begin(spec.job_id, chunks);
    let fetched = 0;
    const chunkOf = async (hash: string) => {
      const here = await states.read(spec.job_id, hash);
      if (here) return here;
      const fresh = await fetchWhole(task, hash, signal);
      fetched += fresh.byteLength;
      if (keeps && isChunk(fresh, hash)) await states.put(spec.job_id, hash, fresh);
      return fresh;
    };
    const bytes = manifest.files.reduce((sum, file) => sum + file.size_bytes, 0);
    const { archive, done } = stateArchive(manifest, chunkOf);
    await Promise.all([
      driver.writeState(containerId, spec.checkpoint.path, archive, {
        deadlineSeconds: restoreSeconds(bytes),
        signal,
      }),
      done,
    ]).catch(async (thrown: unknown) => {
      archive.destroy();
      if (keeps) await states.forget(spec.job_id);
      // What was wrong with the state explains more than that the engine got only a part of it.
      const cause = await withDeadline(done, explanationMs, 'ending the archive').catch(
        (error: unknown) => error,
      );
      if (cause instanceof StateMismatch || cause instanceof CallRefused || cause instanceof LeaseGone)
        throw cause;
      throw thrown;
    });
    if (keeps) await states.complete(spec.job_id, checkpointId, chunks);
    await journal.update({ restored: true });
    log.info(
      { bytes, fetched_bytes: fetched, duration_ms: Math.round(performance.now() - startedAt) },
      'state put back',
    );
  } catch (thrown) {
    if (thrown instanceof CallRefused || thrown instanceof StateMismatch) {
      const why = thrown instanceof CallRefused ? thrown.code : thrown.message;
      throw new TaskFailure('provider-error', `The saved state could not be put back: ${why}.`, thrown);
    }
    throw thrown;
  }
}

async function fetchWhole({ reports, log }: TaskContext, hash: string, signal: AbortSignal): Promise<Buffer> {
  for (let fetches = 1; ; fetches += 1) {
    const bytes = await reports.readStateChunk(hash, signal);
    if (fetches === mostFetches || isChunk(bytes, hash)) return bytes;
    log.warn({ sha256: hash, fetches }, 'a chunk of state came with another hash; fetching it again');
  }
}
