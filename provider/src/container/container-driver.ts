import type { Readable } from 'node:stream';
import type { RegistryLogin } from '@computefabric/protocol/registry-login';
import type { TaskPriority } from './task-priority.ts';
import type { NetworkMode } from '@computefabric/protocol/network';

/**
 * What the agent needs from a container engine, and nothing more. `docker-driver.ts` speaks to a real engine,
 * `fake-driver.ts` keeps everything in memory; `driver-suite.ts` is the list of promises both must hold.
 *
 * Every call has a deadline of its own inside the driver. Failures are `ContainerError`s with a code.
 * No verb takes a path on the host: a task sees no part of the host's disk, and its results come out through
 * the engine's archive API, which resolves links inside the container.
 */
export interface ContainerDriver {
  /** Asks the engine who it is. Throws `engine-unreachable` with a sentence the owner can act on. */
  ping(): Promise<EngineInfo>;

  /** What tasks may reach from this machine, and why not more. Proven by trying, not by belief. */
  networks(): Promise<NetworkOffer>;

  /**
   * What this machine does beyond the template to keep tasks in, each proven by a trial. Throws when what the owner
   * demands is not to be had.
   */
  protections(): Promise<Protections>;

  /** Names under which images are on this engine, as a job may write them; at most so many. */
  imageNames(most: number): Promise<string[]>;

  /** Every image on this engine, with and without a name, by id. */
  imageIds(): Promise<ReadonlySet<string>>;

  /**
   * Takes a name from an image, and the image from the disk when that was its last and nothing is made of it. Never
   * forced: `in-use` when a container needs it.
   */
  removeImage(reference: string): Promise<'removed' | 'in-use' | 'gone'>;

  /** The image as the engine holds it now, or null. `reference` may also be an image id. */
  imagePresent(reference: string): Promise<LocalImage | null>;

  /** Fetches an image from its registry. See `PullOptions` for progress, abort and deadline. */
  pullImage(reference: string, options: PullOptions): Promise<LocalImage>;

  /**
   * Makes the container in a network namespace of its own, whose rules are in force already; starts nothing.
   * `/outputs` exists in it, writable by every user. Settings come from the fixed template and are read back: a difference throws
   * `template-mismatch` and leaves nothing behind. A second call for the same lease throws `task-exists`.
   */
  createTask(spec: TaskSpec): Promise<string>;

  /**
   * Opens the live output. Resolves when the engine has registered the reader, so that a start after it loses
   * no byte. While the reader does not ask for the next piece the engine holds the task's own writes: nothing
   * is lost and no memory grows, but a reader that stops asking freezes the task, and the engine cannot even
   * finish killing it. So read to the end or `close()`.
   *
   * The iteration ends when the task has ended and every byte was handed over; it throws `output-interrupted`
   * when the connection broke before that: go on with `readOutputFrom`.
   */
  attachOutput(containerId: string): Promise<LiveOutput>;

  /**
   * For a task whose live output was cut (the agent or the engine restarted): everything after `position`, from
   * the engine's own log, until the task has ended. Nothing is lost or doubled while the engine's log is
   * complete; where it is not, a piece of kind `gap` stands in the place of what is missing, and what follows it
   * is live. Throws `aborted` when the signal says so.
   */
  readOutputFrom(
    containerId: string,
    position: OutputPosition,
    options?: { signal?: AbortSignal },
  ): AsyncIterable<OutputPiece>;

  /**
   * Starts a created task. Starting one that runs already is fine. Throws `network-gone` when what had been
   * prepared for it is not there any more: it is to be removed and made anew.
   */
  startTask(containerId: string): Promise<void>;

  /** Resolves when the task has ended: asked before the start, while it runs, or long after. */
  waitTask(containerId: string, options?: WaitOptions): Promise<TaskExit>;

  /** SIGTERM, then SIGKILL after `graceSeconds`. Resolves when it has ended; an ended task is fine. */
  stopTask(containerId: string, graceSeconds: number): Promise<void>;

  /** SIGKILL now. An ended task is fine. */
  killTask(containerId: string): Promise<void>;

  /** Lets a task's program have less of the processor, or as much as before; a task that has ended is fine. */
  prioritizeTask(containerId: string, priority: TaskPriority, cpus: number): Promise<void>;

  /** Null when the engine knows no such container. */
  inspectTask(containerId: string): Promise<TaskStatus | null>;

  /**
   * Hands over the regular files that an ended task left in `/outputs`, one at a time. Links, devices, pipes and
   * unsafe names are skipped and listed. Throws `task-running` while it runs: a directory that changes under the
   * reader has no honest content.
   */
  collectOutputs(
    containerId: string,
    limits: OutputLimits,
    onFile: OutputFileSink,
    options?: { signal?: AbortSignal },
  ): Promise<OutputCollection>;

  /**
   * Hands over what lies in the task's state directory, one entry at a time in the archive's order. A running task
   * is frozen while its directory is read, at most `frozenSeconds`, and goes on afterwards whatever happened: what
   * is read is the state of one moment, and nobody can swap a path under the reader.
   */
  readState(
    containerId: string,
    directory: string,
    limits: StateLimits,
    sink: StateSink,
    options: { frozenSeconds: number; signal: AbortSignal },
  ): Promise<StateSummary>;

  /** Unpacks an archive into the state directory of a task that has not been started. */
  writeState(
    containerId: string,
    directory: string,
    archive: Readable,
    options: { deadlineSeconds: number; signal: AbortSignal },
  ): Promise<void>;

  /**
   * Runs a command beside the program of a running task, with the same rights, and waits for its end. Its exit code
   * is null when it did not end in time; it goes on then, there is no way to stop it alone. Throws
   * `task-not-running` when the program has ended.
   */
  runInside(
    containerId: string,
    command: string | readonly string[],
    options: { deadlineSeconds: number; signal: AbortSignal },
  ): Promise<InsideResult>;

  /** Lets a task go on that an agent froze and then died. One that is not frozen is fine. */
  thawTask(containerId: string): Promise<void>;

  /**
   * Removes everything that the lease has on this engine: its container, running or not, the anonymous volumes
   * and what holds its network. By lease and not by container, so that it also finishes what a crash left half done; having
   * nothing to remove is fine.
   */
  removeLease(leaseId: string): Promise<void>;

  /** Every container of a task that carries this agent's label, in any state. */
  listOwned(): Promise<OwnedResource[]>;
}

export interface Protections {
  /** What a task writes has an end; else why not. */
  diskLimit: { holds: boolean; note: string | null };
  /** What runs programs, and whether it passes GPUs in. */
  sandbox: { kind: 'containers' | 'gvisor'; passesGpus: boolean };
}

export interface NetworkOffer {
  modes: NetworkMode[];
  /** For the owner and for renters; null when there is nothing to say. */
  note: string | null;
}

export interface EngineInfo {
  version: string;
  apiVersion: string;
  /** As the engine says: `linux`, and `x86_64` or `aarch64`. */
  os: string;
  arch: string;
  /** For example `Debian GNU/Linux 12 (bookworm)`. */
  operatingSystem: string;
  kernelVersion: string;
  cpus: number;
  memoryBytes: number;
  storageDriver: string;
  /** Where the engine keeps images and containers, on its own machine. */
  rootDirectory: string;
  cgroupVersion: string;
  /** False when this kernel cannot enforce the limit; a task then fails with `template-mismatch`. */
  limits: { memory: boolean; swap: boolean; cpu: boolean; pids: boolean };
  /** For example `['name=seccomp,profile=default']`. */
  securityOptions: string[];
  /** Names such as `runc`, `nvidia`, `runsc`. */
  runtimes: string[];
}

export interface LocalImage {
  /** `sha256:…` of the configuration: what `createTask` should be given, since a tag can move. */
  id: string;
  /** `sha256:…` of the registry's manifest; null for an image that came from no registry. */
  digest: string | null;
  sizeBytes: number;
}

export interface PullProgress {
  /** Compressed bytes received so far. */
  bytesDone: number;
  /** Compressed bytes to receive; null until every layer has told its size. */
  bytesTotal: number | null;
  phase: 'resolving' | 'downloading' | 'extracting';
}

export interface PullOptions {
  /** Seconds for the whole pull; after it the pull stops with `pull-timeout`. */
  deadlineSeconds: number;
  /** Compressed bytes; as soon as it shows that there are more the pull stops with `image-too-large`. */
  mostBytes?: number;
  onProgress?: (progress: PullProgress) => void;
  /** For the registry of this pull, and told to nobody else. */
  login?: RegistryLogin | undefined;
  /** Stops the pull with `aborted`. */
  signal?: AbortSignal;
}

/** One task to create. Units are in the names; ranges are checked by `checkTaskSpec`. */
export interface TaskSpec {
  leaseId: string;
  jobId: string;
  /** Number of this lease among all of its job: whoever holds a smaller one has been replaced. */
  fence: number;
  /** Id or reference of an image that is present. */
  image: string;
  /** Nothing made of the image stays when the task is gone: it was pulled with a login. */
  imageIsPrivate?: boolean;
  /** A string runs through `/bin/sh -c`; a list goes to the image's entrypoint; null is the image's own. */
  command: string | readonly string[] | null;
  env: Readonly<Record<string, string>>;
  /** `COMPUTEFABRIC_*` variables of this try; the job's own cannot have such names. */
  variables: Readonly<Record<string, string>>;
  /** Made before the start, for every user to write; null for a task that keeps no state. */
  stateDirectory: string | null;
  /** Cores, may be a fraction such as 0.5. */
  cpus: number;
  /** Also the limit of memory plus swap: a task never swaps. */
  memoryBytes: number;
  pidsLimit: number;
  /** Size of `/dev/shm`; counts against `memoryBytes` as it fills. */
  shmBytes: number;
  /** UUIDs of real GPUs; empty for none and for simulated ones. */
  gpuUuids: readonly string[];
  /** What it may write to disk, where the machine limits that; what is usual there when it is less. */
  diskBytes: number;
  network: TaskNetwork;
}

/** What the task may reach. Never the machine itself, its owner's network or another task. */
export interface TaskNetwork {
  mode: NetworkMode;
  /** With `allowlist`: the servers, as a job may name them. */
  allow: readonly string[];
}

export type OutputStream = 'stdout' | 'stderr';

/** The bytes are the reader's to keep. */
export interface OutputBytes {
  kind: 'bytes';
  stream: OutputStream;
  data: Buffer;
}

/** `gap`: output is missing here, and nobody can say how much. */
export type OutputPiece = OutputBytes | { kind: 'gap' };

export interface LiveOutput extends AsyncIterable<OutputBytes> {
  /** Stops reading: an iteration under way ends, and the task is no longer held back. */
  close(): void;
}

/** How many bytes of each stream have been taken over for good. */
export interface OutputPosition {
  stdoutBytes: number;
  stderrBytes: number;
}

export interface WaitOptions {
  signal?: AbortSignal;
  /** Called when the engine went away meanwhile: a task that ended then may have been ended by that. */
  onEngineAway?: () => void;
}

export interface TaskExit {
  exitCode: number;
  /** The kernel killed something in it for memory. The exit code may still be 0 when a shell survived. */
  oomKilled: boolean;
  /** Null when it never started. */
  startedAt: Date | null;
  finishedAt: Date | null;
  /** The engine's own words when it could not run it, else null. */
  error: string | null;
}

export interface TaskStatus {
  containerId: string;
  leaseId: string;
  jobId: string;
  fence: number;
  state: TaskState;
  /** Null until it has ended. */
  exit: TaskExit | null;
}

export type TaskState = 'created' | 'running' | 'exited';

export interface OutputLimits {
  maxFiles: number;
  /** Sum over all files handed over. */
  maxBytes: number;
}

/** Must read `content` to its end or leave it: what is left is thrown away. Throwing stops the collection. */
export type OutputFileSink = (path: string, sizeBytes: number, content: Readable) => Promise<void>;

export type SkipReason =
  | 'symlink'
  | 'hard-link'
  | 'device'
  | 'fifo'
  | 'unknown-type'
  | 'unsafe-name'
  | 'too-many-files'
  | 'too-many-bytes';

export interface StateLimits {
  maxEntries: number;
  /** Sum over all files. */
  maxBytes: number;
}

interface StateAttributes {
  /** Relative to the state directory, safe to be stored and written below a directory. */
  path: string;
  /** Permission bits alone. */
  mode: number;
  uid: number;
  gid: number;
}

export type StateEntry =
  | ({ kind: 'folder' } & StateAttributes)
  | ({
      kind: 'file';
      mtimeSeconds: number;
      sizeBytes: number;
      content: AsyncIterable<Uint8Array>;
    } & StateAttributes)
  /** A link to something inside the state. */
  | { kind: 'link'; path: string; target: string }
  /** Another name of a file that came before. */
  | { kind: 'same-as'; path: string; of: string };

/** Must read the content of a file to its end, or throw. */
export type StateSink = (entry: StateEntry) => Promise<void>;

export interface StateSummary {
  bytes: number;
  /** What is no state: the first few, as they may be shown, and how many in all. */
  skipped: string[];
  skippedCount: number;
}

export interface InsideResult {
  exitCode: number | null;
  /** The end of what it said. */
  output: string;
}

export interface OutputCollection {
  files: number;
  bytes: number;
  /** The first 100, in the order they came; a name that is not safe to show is escaped. */
  skipped: { path: string; reason: SkipReason }[];
  /** How many were skipped in all. */
  skippedCount: number;
  /** True when reading stopped early: `/outputs` may hold more that was never looked at. */
  truncated: boolean;
}

export interface OwnedResource {
  id: string;
  leaseId: string;
  jobId: string;
  fence: number;
  state: TaskState;
  createdAt: Date;
}
