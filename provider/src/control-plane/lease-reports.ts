import { createReadStream } from 'node:fs';
import { ReadableStream } from 'node:stream/web';
import type { Contract } from '@computefabric/protocol/contract';
import type { ReportedEndReason } from '@computefabric/protocol/end-reason';
import type { CheckpointId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import {
  beginCheckpoint,
  commitCheckpoint,
  missingChunks,
  putChunk,
  readState,
  readStateChunk,
} from '@computefabric/protocol/provider-api/v1/checkpoints';
import { fenceHeader } from '@computefabric/protocol/provider-api/v1/common';
import {
  acceptLease,
  appendLogs,
  endedLease,
  exitedLease,
  putArtifact,
  readRegistryLogin,
  rejectLease,
  releasedLease,
  startedLease,
} from '@computefabric/protocol/provider-api/v1/leases';
import type { RegistryLogin } from '@computefabric/protocol/registry-login';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import type { Countersignature, MeteringRecord } from '@computefabric/protocol/receipts/metering';
import type { z } from 'zod';
import type { BootClock, Moment } from '../home/boot-clock.ts';
import { type CallParts, CallRefused } from './client.ts';
import { aliveUntil } from './heard.ts';
import type { Session, SessionCallOptions } from './session.ts';

/** The orchestrator no longer sees this try as ours: kill it, remove it, say nothing more about it. */
export class LeaseGone extends Error {
  override readonly name = 'LeaseGone';
}

/** The orchestrator misses output from this chunk on. */
export class LogsIncomplete extends Error {
  override readonly name = 'LogsIncomplete';
  readonly nextSeq: number;

  constructor(nextSeq: number) {
    super(`output is missing from chunk ${nextSeq} on`);
    this.nextSeq = nextSeq;
  }
}

/** A result file, lying in a file of ours so that it can be sent again. */
export interface ResultFile {
  /** Below `/outputs`. */
  path: string;
  sizeBytes: number;
  /** Hex. */
  sha256: string;
  /** Where its bytes lie on our disk. */
  file: string;
}

export interface EndReport {
  reason: ReportedEndReason;
  detail: string | null;
  exitCode: number | null;
  logChunks: number;
}

type ReportedSpec = Pick<TaskSpec, 'lease_id' | 'fence' | 'stop_after_silence_seconds'>;

const deadlineMs = 10_000;
const logsDeadlineMs = 30_000;
/** The slowest uplink that a result file is given: 64 KiB/s beside half a minute. */
const resultDeadlineMs = (sizeBytes: number) => 30_000 + sizeBytes / 64;
const detailChars = 2_000;

/**
 * What is reported of one try. Every report is made until it is answered, however long that takes.
 *
 * @throws LeaseGone when the try is not ours any more; the signal's reason when that aborts
 */
export class LeaseReports {
  readonly #session: Session;
  readonly #clock: BootClock;
  readonly #spec: ReportedSpec;
  readonly #params: { lease: TaskSpec['lease_id'] };
  readonly #headers: Record<string, string>;

  constructor(session: Session, clock: BootClock, spec: ReportedSpec) {
    this.#session = session;
    this.#spec = spec;
    this.#clock = clock;
    this.#params = { lease: spec.lease_id };
    this.#headers = { [fenceHeader]: String(spec.fence) };
  }

  /** Takes the offer. Gives the moment at which the try dies if nothing is heard again. */
  async accept(signal: AbortSignal): Promise<Moment> {
    let sentAt = this.#clock.now();
    const reply = await this.#report(
      acceptLease,
      { params: this.#params, body: {} },
      {
        deadlineMs,
        // The term counts from the sending of the try that was answered, never from an earlier one's answer.
        beforeEach: () => {
          sentAt = this.#clock.now();
        },
      },
      signal,
    );
    return aliveUntil(this.#spec, { at: sentAt, leaseTtlSeconds: reply.lease_ttl_seconds });
  }

  async reject(reason: string, signal: AbortSignal): Promise<void> {
    const body = { reason: reason.slice(0, 500) };
    await this.#report(rejectLease, { params: this.#params, body }, { deadlineMs }, signal);
  }

  /** What the image's registry wants; never kept on this machine. Null where the job brought nothing. */
  async readRegistryLogin(signal: AbortSignal): Promise<RegistryLogin | null> {
    return (await this.#report(readRegistryLogin, { params: this.#params }, { deadlineMs }, signal)).login;
  }

  /** The program runs. */
  async started(imageDigest: string | null, signal: AbortSignal): Promise<void> {
    const body = { image_digest: imageDigest };
    await this.#report(startedLease, { params: this.#params, body }, { deadlineMs }, signal);
  }

  /** Sends a batch of output; gives the first chunk that is not stored. */
  async appendLogs(firstSeq: number, frames: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<number> {
    const parts = { params: this.#params, query: { first_seq: firstSeq } };
    const options = { bytes: frames, deadlineMs: logsDeadlineMs };
    return (await this.#report(appendLogs, parts, options, signal)).next_seq;
  }

  /** The program has ended. */
  async exited(exitCode: number | null, signal: AbortSignal): Promise<void> {
    const body = { exit_code: exitCode };
    await this.#report(exitedLease, { params: this.#params, body }, { deadlineMs }, signal);
  }

  async putResult(result: ResultFile, signal: AbortSignal): Promise<void> {
    await this.#report(
      putArtifact,
      {
        params: this.#params,
        query: { path: result.path, sha256: result.sha256, size_bytes: result.sizeBytes },
      },
      {
        bytes: () => ReadableStream.from(partsOf(result.file)),
        deadlineMs: resultDeadlineMs(result.sizeBytes),
      },
      signal,
    );
  }

  /** A save of the state begins; null when nobody will need it. */
  async beginCheckpoint(signal: AbortSignal): Promise<CheckpointId | null> {
    const reply = await this.#report(
      beginCheckpoint,
      { params: this.#params, body: {} },
      { deadlineMs },
      signal,
    );
    return reply.checkpoint_id;
  }

  async missingChunks(sha256: string[], signal: AbortSignal): Promise<string[]> {
    const parts = { params: this.#params, body: { sha256 } };
    return (await this.#report(missingChunks, parts, { deadlineMs: logsDeadlineMs }, signal)).missing;
  }

  async putChunk(chunk: Omit<ResultFile, 'path'>, signal: AbortSignal): Promise<void> {
    await this.#report(
      putChunk,
      { params: this.#params, query: { sha256: chunk.sha256, size_bytes: chunk.sizeBytes } },
      {
        bytes: () => ReadableStream.from(partsOf(chunk.file)),
        deadlineMs: resultDeadlineMs(chunk.sizeBytes),
      },
      signal,
    );
  }

  /**
   * Completes a save. Gives the chunks that are missing; none: the checkpoint is complete. `kept` tells that the
   * state stays on this machine, for a next try here.
   */
  async commitCheckpoint(
    checkpoint: CheckpointId,
    manifest: { sha256: string; bytes: Uint8Array<ArrayBuffer>; kept: boolean },
    signal: AbortSignal,
  ): Promise<string[]> {
    const query = { sha256: manifest.sha256, ...(manifest.kept ? { kept: 'true' as const } : {}) };
    const parts = { params: { ...this.#params, checkpoint }, query };
    const options = { bytes: manifest.bytes, deadlineMs: resultDeadlineMs(manifest.bytes.byteLength) };
    return (await this.#report(commitCheckpoint, parts, options, signal)).missing;
  }

  /** What the state that the try begins with holds, as text with the hash that it must have. */
  async readState(
    signal: AbortSignal,
  ): Promise<{ checkpointId: CheckpointId; manifest: string; sha256: string }> {
    const reply = await this.#report(
      readState,
      { params: this.#params },
      { deadlineMs: logsDeadlineMs },
      signal,
    );
    return {
      checkpointId: reply.checkpoint_id,
      manifest: reply.manifest,
      sha256: reply.manifest_sha256,
    };
  }

  /** The bytes of a chunk of that state; whether they are the right ones is for the caller to check. */
  async readStateChunk(sha256: string, signal: AbortSignal): Promise<Buffer> {
    const parts = { params: { ...this.#params, sha256 } };
    const options = { deadlineMs: resultDeadlineMs(limits.checkpointChunkBytes), headers: this.#headers };
    return await this.#untilGone(readStateChunk.id, () =>
      this.#session.download(readStateChunk, parts, options, signal),
    );
  }

  /**
   * The try is over. Gives the last record of its running time, for us to sign; none from an older market.
   *
   * @throws LogsIncomplete
   */
  async ended(report: EndReport, signal: AbortSignal): Promise<MeteringRecord | undefined> {
    const body = {
      reason: report.reason,
      detail: report.detail?.slice(0, detailChars) ?? null,
      exit_code: report.exitCode,
      log_chunks: report.logChunks,
    };
    try {
      const parts = { params: this.#params, body };
      return (await this.#report(endedLease, parts, { deadlineMs }, signal)).metering;
    } catch (thrown) {
      if (!(thrown instanceof CallRefused) || thrown.code !== 'lease/logs-incomplete') throw thrown;
      const { next_seq: nextSeq } = thrown.details;
      throw new LogsIncomplete(typeof nextSeq === 'number' ? nextSeq : 0);
    }
  }

  /** Nothing of the try is left on this machine. */
  async released(countersigned: Countersignature | null, signal: AbortSignal): Promise<void> {
    const parts = { params: this.#params, body: countersigned ? { countersigned } : {} };
    await this.#report(releasedLease, parts, { deadlineMs }, signal);
  }

  async #report<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
    contract: Contract<P, Q, B, R>,
    parts: CallParts<P, Q, B>,
    options: SessionCallOptions,
    signal: AbortSignal,
  ): Promise<z.output<R>> {
    return await this.#untilGone(contract.id, () =>
      this.#session.call(contract, parts, { ...options, headers: this.#headers }, signal),
    );
  }

  async #untilGone<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (thrown) {
      if (
        thrown instanceof CallRefused &&
        (thrown.code === 'lease/stale' || thrown.code === 'lease/not-found')
      ) {
        throw new LeaseGone(`${what}: ${thrown.code}`, { cause: thrown });
      }
      throw thrown;
    }
  }
}

/** The bytes of a file, opened when the first of them is asked for. */
async function* partsOf(path: string): AsyncGenerator<Uint8Array> {
  for await (const part of createReadStream(path)) yield part as Uint8Array;
}
