import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { toError } from '@computefabric/runtime/errors';
import { pause } from '@computefabric/runtime/wait';
import { extract, pack } from 'tar-stream';
import { collectFromArchive, feedArchive } from './collect-outputs.ts';
import type {
  ContainerDriver,
  EngineInfo,
  InsideResult,
  LiveOutput,
  LocalImage,
  NetworkOffer,
  OutputCollection,
  OutputFileSink,
  OutputLimits,
  OutputPiece,
  OutputPosition,
  OutputStream,
  OwnedResource,
  Protections,
  PullOptions,
  StateLimits,
  StateSink,
  StateSummary,
  TaskExit,
  TaskSpec,
  TaskStatus,
} from './container-driver.ts';
import { ContainerError, type ContainerErrorCode } from './container-error.ts';
import { FakeContainer, type FakeProgram } from './fake-container.ts';
import { parseImageReference, writtenNames } from './image-reference.ts';
import { readStateArchive } from './state-archive.ts';
import { taskEnvironment } from './task-environment.ts';
import type { TaskPriority } from './task-priority.ts';
import { checkTaskSpec } from './task-spec.ts';

export interface FakeImage {
  sizeBytes: number;
  /** What it runs when a task names no command; null for an image that brings none. */
  program: FakeProgram | null;
}

/** What a registry answers for a reference: an image, an error, or nothing for as long as one waits. */
export type FakeRegistryEntry =
  | { kind: 'image'; image: FakeImage }
  | { kind: 'failure'; code: ContainerErrorCode }
  | { kind: 'silence' };

/** A machine with an engine on it: outlives the drivers that talk to it, as a real one outlives its agents. */
export class FakeEngine {
  readonly images = new Map<string, FakeImage>();
  readonly registry = new Map<string, FakeRegistryEntry>();
  /** What a command does. A shell command is looked up as it is, a list joined by spaces. */
  readonly programs = new Map<string, FakeProgram>();
  /** What each task has of the processor. */
  readonly priorities = new Map<string, TaskPriority>();
  readonly containers = new Map<string, FakeContainer>();
  /** False: nobody answers. What runs goes on. */
  reachable = true;
  #lastId = 0;

  newId(): string {
    this.#lastId += 1;
    return this.#lastId.toString(16).padStart(64, '0');
  }
}

/**
 * `ContainerDriver` without Docker: tasks are functions in this process (`FakeProgram`). Passes the same suite as
 * the real one, so what is tested with it holds for that too.
 */
export class FakeDriver implements ContainerDriver {
  readonly #engine: FakeEngine;
  readonly #agentId: string;

  constructor(engine: FakeEngine, agentId: string) {
    this.#engine = engine;
    this.#agentId = agentId;
  }

  async ping(): Promise<EngineInfo> {
    await this.#turn();
    return {
      version: '0.0.0-fake',
      apiVersion: '1.41',
      os: 'linux',
      arch: 'x86_64',
      operatingSystem: 'none',
      kernelVersion: 'none',
      cpus: 4,
      memoryBytes: 8 * 2 ** 30,
      storageDriver: 'memory',
      rootDirectory: '',
      cgroupVersion: '2',
      limits: { memory: true, swap: true, cpu: true, pids: true },
      securityOptions: ['name=seccomp,profile=default'],
      runtimes: ['fake'],
    };
  }

  async imageNames(most: number): Promise<string[]> {
    await this.#turn();
    return writtenNames([...this.#engine.images.keys()]).slice(0, most);
  }

  async protections(): Promise<Protections> {
    await this.#turn();
    return {
      diskLimit: { holds: true, note: null },
      sandbox: { kind: 'containers', passesGpus: true },
    };
  }

  async networks(): Promise<NetworkOffer> {
    await this.#turn();
    return { modes: ['none', 'allowlist', 'internet'], note: null };
  }

  async imageIds(): Promise<ReadonlySet<string>> {
    await this.#turn();
    return new Set([...this.#engine.images.keys()].map(imageId));
  }

  async removeImage(reference: string): Promise<'removed' | 'in-use' | 'gone'> {
    await this.#turn();
    const name = canonical(reference);
    if (!this.#engine.images.has(name)) return 'gone';
    const id = imageId(name);
    for (const { image } of this.#engine.containers.values())
      if (image === id || image === reference) return 'in-use';
    this.#engine.images.delete(name);
    return 'removed';
  }

  async imagePresent(reference: string): Promise<LocalImage | null> {
    await this.#turn();
    const name = this.#imageName(reference);
    const image = name === null ? undefined : this.#engine.images.get(name);
    return image && name ? { id: imageId(name), digest: null, sizeBytes: image.sizeBytes } : null;
  }

  async pullImage(reference: string, options: PullOptions): Promise<LocalImage> {
    await this.#turn();
    const name = canonical(reference);
    const entry = this.#engine.registry.get(name) ?? {
      kind: 'failure' as const,
      code: 'image-not-found' as const,
    };
    options.onProgress?.({ bytesDone: 0, bytesTotal: null, phase: 'resolving' });
    if (entry.kind === 'failure') throw new ContainerError(entry.code, `pulling ${reference}: ${entry.code}`);
    if (entry.kind === 'silence') await pause(options.deadlineSeconds * 1000, options.signal);
    if (options.signal?.aborted) throw new ContainerError('aborted', `pulling ${reference}: stopped`);
    if (entry.kind === 'silence')
      throw new ContainerError('pull-timeout', `pulling ${reference}: not done in time`);
    const { sizeBytes } = entry.image;
    if (options.mostBytes !== undefined && sizeBytes > options.mostBytes)
      throw new ContainerError('image-too-large', `pulling ${reference}: it has ${sizeBytes} bytes`);
    for (const part of [0.25, 0.5, 1]) {
      await pause(1, options.signal);
      if (options.signal?.aborted) throw new ContainerError('aborted', `pulling ${reference}: stopped`);
      const bytesDone = Math.round(sizeBytes * part);
      options.onProgress?.({ bytesDone, bytesTotal: sizeBytes, phase: 'downloading' });
    }
    this.#engine.images.set(name, entry.image);
    return { id: imageId(name), digest: imageId(`manifest of ${name}`), sizeBytes };
  }

  async createTask(spec: TaskSpec): Promise<string> {
    checkTaskSpec(spec);
    await this.#turn();
    const name = this.#imageName(spec.image);
    const image = name === null ? undefined : this.#engine.images.get(name);
    if (!image) throw new ContainerError('image-not-found', `the image ${spec.image} is not on this machine`);
    const program = this.#programOf(spec, image);
    const env = taskEnvironment(spec, []);
    if ((await this.listOwned()).some(({ leaseId }) => leaseId === spec.leaseId)) {
      throw new ContainerError('task-exists', `the lease ${spec.leaseId} has a container already`);
    }
    const id = this.#engine.newId();
    this.#engine.containers.set(id, new FakeContainer({ id, agentId: this.#agentId, spec, env, program }));
    return id;
  }

  async attachOutput(containerId: string): Promise<LiveOutput> {
    return (await this.#container(containerId)).attach();
  }

  async *readOutputFrom(
    containerId: string,
    position: OutputPosition,
    options: { signal?: AbortSignal } = {},
  ): AsyncGenerator<OutputPiece> {
    const container = await this.#container(containerId);
    const left: Record<OutputStream, number> = { stdout: position.stdoutBytes, stderr: position.stderrBytes };
    for await (const { stream, data } of container.readLog(options.signal)) {
      const skipped = Math.min(left[stream], data.length);
      left[stream] -= skipped;
      if (skipped < data.length) yield { kind: 'bytes', stream, data: data.subarray(skipped) };
    }
  }

  async startTask(containerId: string): Promise<void> {
    (await this.#container(containerId)).start();
  }

  async waitTask(containerId: string, options: { signal?: AbortSignal } = {}): Promise<TaskExit> {
    return (await this.#container(containerId)).wait(options.signal);
  }

  async stopTask(containerId: string, graceSeconds: number): Promise<void> {
    await (await this.#container(containerId)).stop(graceSeconds);
  }

  async killTask(containerId: string): Promise<void> {
    (await this.#container(containerId)).kill();
  }

  async inspectTask(containerId: string): Promise<TaskStatus | null> {
    await this.#turn();
    return this.#engine.containers.get(containerId)?.status ?? null;
  }

  async collectOutputs(
    containerId: string,
    limits: OutputLimits,
    onFile: OutputFileSink,
    options: { signal?: AbortSignal } = {},
  ): Promise<OutputCollection> {
    const container = await this.#container(containerId);
    if (container.status.state !== 'exited') {
      throw new ContainerError('task-running', 'the outputs of a task can be read when it has ended');
    }
    if (options.signal?.aborted) throw new ContainerError('aborted', 'reading the outputs: stopped');
    // Through a real archive, so that the rules about names, kinds and sizes are the same code.
    const archive = pack();
    archive.entry({ name: 'outputs/', type: 'directory' });
    for (const { path, type, content } of container.outputs) {
      const name = `outputs/${path}`;
      if (type === 'file') archive.entry({ name, type }, content);
      else archive.entry({ name, type, linkname: '/etc/passwd' });
    }
    archive.finalize();
    return collectFromArchive(Readable.from(archive, { objectMode: false }), limits, onFile);
  }

  async readState(
    containerId: string,
    _directory: string,
    limits: StateLimits,
    sink: StateSink,
    { signal }: { frozenSeconds: number; signal: AbortSignal },
  ): Promise<StateSummary> {
    const container = await this.#container(containerId);
    if (signal.aborted) throw new ContainerError('aborted', 'reading the state: stopped');
    const archive = pack();
    archive.entry({ name: 'state/', type: 'directory' });
    for (const [path, content] of container.state) archive.entry({ name: `state/${path}` }, content);
    archive.finalize();
    return readStateArchive(Readable.from(archive, { objectMode: false }), limits, sink);
  }

  async writeState(
    containerId: string,
    _directory: string,
    archive: Readable,
    options: { deadlineSeconds: number; signal: AbortSignal },
  ): Promise<void> {
    const container = await this.#container(containerId);
    const tar = extract();
    feedArchive(archive, tar).catch((error: unknown) => tar.destroy(toError(error)));
    for await (const entry of tar) {
      options.signal.throwIfAborted();
      const content = await text(entry);
      if (entry.header.type === 'file') container.state.set(entry.header.name, content);
    }
  }

  async runInside(containerId: string, command: string | readonly string[]): Promise<InsideResult> {
    const container = await this.#container(containerId);
    if (container.status.state !== 'running') {
      throw new ContainerError('task-not-running', 'nothing can be run in a task that has ended');
    }
    const asked = typeof command === 'string' ? command : command.join(' ');
    const answer = container.commands.get(asked);
    return answer ? answer() : { exitCode: 127, output: 'not found' };
  }

  prioritizeTask(containerId: string, priority: TaskPriority): Promise<void> {
    this.#engine.priorities.set(containerId, priority);
    return Promise.resolve();
  }

  async thawTask(containerId: string): Promise<void> {
    await this.#container(containerId);
  }

  async removeLease(leaseId: string): Promise<void> {
    for (const resource of await this.listOwned()) {
      if (resource.leaseId !== leaseId) continue;
      this.#engine.containers.get(resource.id)?.remove();
      this.#engine.containers.delete(resource.id);
    }
  }

  async listOwned(): Promise<OwnedResource[]> {
    await this.#turn();
    const owned: OwnedResource[] = [];
    for (const [id, { agentId, status, createdAt }] of this.#engine.containers) {
      if (agentId !== this.#agentId) continue;
      const { leaseId, jobId, fence, state } = status;
      owned.push({ id, leaseId, jobId, fence, state, createdAt });
    }
    return owned;
  }

  async #container(containerId: string): Promise<FakeContainer> {
    await this.#turn();
    const container = this.#engine.containers.get(containerId);
    if (!container) throw new ContainerError('task-not-found', `there is no container ${containerId}`);
    return container;
  }

  /** Every call takes a turn of the event loop, as a request would, so that nothing relies on it being at once. */
  async #turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.#engine.reachable)
      throw new ContainerError('engine-unreachable', 'nobody answers at the fake engine');
  }

  #imageName(reference: string): string | null {
    if (!reference.startsWith('sha256:')) return canonical(reference);
    return [...this.#engine.images.keys()].find((name) => imageId(name) === reference) ?? null;
  }

  #programOf(spec: TaskSpec, image: FakeImage): FakeProgram {
    if (spec.command === null) {
      if (image.program === null) {
        throw new ContainerError(
          'command-missing',
          `no command was given and the image ${spec.image} brings none`,
        );
      }
      return image.program;
    }
    const command = typeof spec.command === 'string' ? spec.command : spec.command.join(' ');
    return this.#engine.programs.get(command) ?? commandNotFound;
  }
}

/** What a shell does with a word that it does not know. */
const commandNotFound: FakeProgram = async (process) => {
  await process.print('stderr', 'not found\n');
  return 127;
};

function canonical(reference: string): string {
  const { repository, tagOrDigest } = parseImageReference(reference);
  return tagOrDigest.startsWith('sha256:') ? `${repository}@${tagOrDigest}` : `${repository}:${tagOrDigest}`;
}

function imageId(name: string): string {
  return `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64)}`;
}
