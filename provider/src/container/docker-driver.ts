import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { collectFromArchive, noOutputs } from './collect-outputs.ts';
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
  OwnedResource,
  Protections,
  PullOptions,
  StateLimits,
  StateSink,
  StateSummary,
  TaskExit,
  TaskSpec,
  TaskStatus,
  WaitOptions,
} from './container-driver.ts';
import { ContainerError, isContainerError, notFound } from './container-error.ts';
import { createTask } from './create-task.ts';
import { DiskLimit } from './disk/disk-limit.ts';
import { DockerEngine } from './docker-engine.ts';
import { imageIds, imageNames, inspectImage, localImage, pullImage, removeImage } from './docker-images.ts';
import { AttachedOutput, readOutputFrom } from './docker-output.ts';
import { readState, runInside, thaw, writeState } from './docker-state.ts';
import type { EngineAddress } from './engine-address.ts';
import {
  type ContainerReply,
  containerReply,
  type ImageReply,
  infoReply,
  versionReply,
} from './engine-replies.ts';
import { ENGINE_LOG_FILE_BYTES } from './host-config.ts';
import { type EgressOptions, TaskEgress } from './network/task-egress.ts';
import { NetworkHolders } from './network-holders.ts';
import { listOwned, removeLease, taskState } from './owned-resources.ts';
import { GVisor } from './sandbox/gvisor.ts';
import { PreparedImages } from './prepared-images.ts';
import { classifyStartFailure } from './start-failure.ts';
import { OUTPUTS_DIRECTORY } from './task-environment.ts';
import { readLabels } from './task-labels.ts';
import { setPriority, type TaskPriority } from './task-priority.ts';
import { waitTask } from './wait-task.ts';

const PING_SECONDS = 5;
const INSPECT_SECONDS = 15;
/** A start makes namespaces and cgroups, and loads a GPU driver's libraries where one is passed in. */
const START_SECONDS = 120;
const KILL_SECONDS = 30;

export interface DockerDriverOptions {
  address: EngineAddress;
  /** Marks what this agent makes; only what carries it is ever listed or removed. 1 to 96 of `A-Za-z0-9_.-`. */
  agentId: string;
  /** Size of one of the two files of a task's log inside the engine. Only a test has reason to change it. */
  engineLogFileBytes?: number;
  /** Lets tasks out; without it each has loopback alone. */
  egress?: EgressOptions;
  /** Limits what a task writes: in files of this folder, so much unless it asks for more. */
  disk?: { folder: string; defaultBytes: number };
  /** What runs the programs of tasks. */
  sandbox?: 'containers' | 'gvisor';
  /** Keeps a network namespace ready for the next task, which starts in half the time; `close` removes it. */
  prepareNetworks?: boolean;
  /** Keeps images that have the directories of tasks in them, which saves making these; `close` removes them. */
  prepareImages?: boolean;
}

/** For a driver that lets nobody out. */
const noEgress: EgressOptions = {
  most: 'none',
  denied: [],
  resolvers: [],
  megabitsPerSecond: null,
  onProblem: () => undefined,
};

/** Images whose settings are remembered: more than run on one machine within a while. */
const MOST_IMAGES_KNOWN = 64;

/** `ContainerDriver` on a Docker engine, over its HTTP API. */
export class DockerDriver implements ContainerDriver {
  readonly #engine: DockerEngine;
  readonly #agentId: string;
  readonly #engineLogFileBytes: number;
  readonly #egress: TaskEgress;
  readonly #holders: NetworkHolders | null;
  readonly #disk: DiskLimit | null;
  readonly #gvisor: GVisor | null;
  readonly #images: PreparedImages | null;
  /** By id, which names one content for ever. */
  readonly #knownImages = new Map<string, ImageReply>();
  /** Open attachments by container. One that nobody reads would keep the engine from finishing a removal. */
  readonly #attached = new Map<string, Set<AttachedOutput>>();

  constructor({
    address,
    agentId,
    engineLogFileBytes = ENGINE_LOG_FILE_BYTES,
    egress,
    disk,
    sandbox = 'containers',
    prepareNetworks = false,
    prepareImages = false,
  }: DockerDriverOptions) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$/.test(agentId)) throw new Error(`bad agent id "${agentId}"`);
    this.#engine = new DockerEngine(address);
    this.#agentId = agentId;
    this.#engineLogFileBytes = engineLogFileBytes;
    this.#egress = new TaskEgress(agentId, 'socketPath' in address, egress ?? noEgress);
    this.#holders =
      prepareNetworks || egress
        ? new NetworkHolders(this.#engine, agentId, egress ? this.#egress : null)
        : null;
    this.#disk = disk ? new DiskLimit(disk.folder, disk.defaultBytes) : null;
    this.#gvisor = sandbox === 'gvisor' ? new GVisor() : null;
    this.#images = prepareImages ? new PreparedImages(this.#engine, agentId) : null;
    this.#holders?.prepareSoon();
  }

  async ping(): Promise<EngineInfo> {
    const [versionAnswer, infoAnswer] = await Promise.all([
      this.#engine.call('asking for the version', PING_SECONDS, (client) => client.version()),
      this.#engine.call('asking about the engine', PING_SECONDS, (client) => client.info()),
    ]);
    const version = versionReply.parse(versionAnswer);
    const info = infoReply.parse(infoAnswer);
    return {
      version: version.Version,
      apiVersion: version.ApiVersion,
      os: info.OSType,
      arch: info.Architecture,
      operatingSystem: info.OperatingSystem,
      kernelVersion: info.KernelVersion,
      cpus: info.NCPU,
      memoryBytes: info.MemTotal,
      storageDriver: info.Driver,
      rootDirectory: info.DockerRootDir,
      cgroupVersion: info.CgroupVersion,
      limits: { memory: info.MemoryLimit, swap: info.SwapLimit, cpu: info.CpuCfsQuota, pids: info.PidsLimit },
      securityOptions: info.SecurityOptions,
      runtimes: info.Runtimes,
    };
  }

  async protections(): Promise<Protections> {
    const problem = this.#disk
      ? await this.#disk.problem(this.#engine, this.#agentId)
      : 'this agent does not limit it';
    return {
      diskLimit: { holds: problem === null, note: problem },
      sandbox: this.#gvisor
        ? { kind: 'gvisor', ...(await this.#gvisor.prove(this.#engine, this.#agentId)) }
        : { kind: 'containers', passesGpus: true },
    };
  }

  async networks(): Promise<NetworkOffer> {
    return (await this.#holders?.offer()) ?? { modes: ['none'], note: null };
  }

  imageNames(most: number): Promise<string[]> {
    return imageNames(this.#engine, most);
  }

  imageIds(): Promise<ReadonlySet<string>> {
    return imageIds(this.#engine);
  }

  removeImage(reference: string): Promise<'removed' | 'in-use' | 'gone'> {
    return removeImage(this.#engine, reference);
  }

  async imagePresent(reference: string): Promise<LocalImage | null> {
    const image = await inspectImage(this.#engine, reference);
    if (image) this.#remember(image);
    return image && localImage(image, reference);
  }

  pullImage(reference: string, options: PullOptions): Promise<LocalImage> {
    return pullImage(this.#engine, reference, options);
  }

  createTask(spec: TaskSpec): Promise<string> {
    const needs = {
      engine: this.#engine,
      agentId: this.#agentId,
      engineLogFileBytes: this.#engineLogFileBytes,
      inspectImage: async (reference: string) =>
        this.#knownImages.get(reference) ?? (await inspectImage(this.#engine, reference)),
      holders: this.#holders,
      disk: this.#disk,
      gvisor: this.#gvisor,
      images: spec.imageIsPrivate ? null : this.#images,
    };
    return createTask(needs, spec);
  }

  #remember(image: ImageReply): void {
    this.#knownImages.delete(image.Id);
    this.#knownImages.set(image.Id, image);
    for (const id of this.#knownImages.keys()) {
      if (this.#knownImages.size <= MOST_IMAGES_KNOWN) break;
      this.#knownImages.delete(id);
    }
  }

  async attachOutput(containerId: string): Promise<LiveOutput> {
    const output = await AttachedOutput.open(this.#engine, containerId, (id) => this.#hasEnded(id));
    const open = this.#attached.get(containerId) ?? new Set();
    this.#attached.set(containerId, open.add(output));
    output.onClose(() => {
      open.delete(output);
      if (open.size === 0) this.#attached.delete(containerId);
    });
    return output;
  }

  readOutputFrom(
    containerId: string,
    position: OutputPosition,
    options: { signal?: AbortSignal } = {},
  ): AsyncIterable<OutputPiece> {
    const needs = {
      engine: this.#engine,
      containerId,
      engineLogFileBytes: this.#engineLogFileBytes,
      hasEnded: (id: string) => this.#hasEnded(id),
      attach: () => this.attachOutput(containerId),
      signal: options.signal,
    };
    return readOutputFrom(needs, position);
  }

  async startTask(containerId: string): Promise<void> {
    this.#holders?.prepareSoon(); // What the start costs is the task's now.
    try {
      await this.#engine.call('starting the task', START_SECONDS, (client, signal) =>
        client.getContainer(containerId).start({ abortSignal: signal }),
      );
    } catch (error) {
      if (!isContainerError(error, 'engine-refused')) throw error;
      if (error.statusCode === 304) return; // it runs already
      const missing = /no such container: (\w+)/i.exec(error.message)?.[1];
      // The engine also answers 404 when the program is missing inside the container, and for a network's holder.
      const code =
        missing === undefined
          ? classifyStartFailure(error.message)
          : missing === containerId
            ? 'task-not-found'
            : 'network-gone';
      if (code === 'network-gone') await this.#holders?.drop();
      throw new ContainerError(code, error.message, { cause: error, statusCode: error.statusCode });
    }
  }

  waitTask(containerId: string, options: WaitOptions = {}): Promise<TaskExit> {
    return waitTask(this.#engine, containerId, (id) => this.inspectTask(id), options);
  }

  async stopTask(containerId: string, graceSeconds: number): Promise<void> {
    await this.#end('stopping the task', graceSeconds + KILL_SECONDS, containerId, (container, abortSignal) =>
      container.stop({ t: graceSeconds, abortSignal }),
    );
  }

  async killTask(containerId: string): Promise<void> {
    await this.#end('killing the task', KILL_SECONDS, containerId, (container, abortSignal) =>
      container.kill({ signal: 'SIGKILL', abortSignal }),
    );
  }

  prioritizeTask(containerId: string, priority: TaskPriority, cpus: number): Promise<void> {
    return setPriority(this.#engine, containerId, priority, cpus);
  }

  async inspectTask(containerId: string): Promise<TaskStatus | null> {
    try {
      const reply = await this.#engine.call('inspecting the task', INSPECT_SECONDS, (client, signal) =>
        client.getContainer(containerId).inspect({ abortSignal: signal }),
      );
      return taskStatus(containerReply.parse(reply));
    } catch (error) {
      if (isContainerError(error) && error.statusCode === 404) return null;
      throw error;
    }
  }

  async collectOutputs(
    containerId: string,
    limits: OutputLimits,
    onFile: OutputFileSink,
    options: { signal?: AbortSignal } = {},
  ): Promise<OutputCollection> {
    if (!(await this.#hasEnded(containerId))) {
      throw new ContainerError('task-running', 'the outputs of a task can be read when it has ended');
    }
    const archive = await this.#openOutputs(containerId, options.signal);
    if (archive === null) return noOutputs();
    try {
      return await collectFromArchive(archive, limits, onFile);
    } catch (error) {
      if (options.signal?.aborted && isContainerError(error, 'outputs-unreadable')) {
        throw new ContainerError('aborted', 'reading the outputs: stopped', { cause: error });
      }
      throw error;
    }
  }

  readState(
    containerId: string,
    directory: string,
    limits: StateLimits,
    sink: StateSink,
    options: { frozenSeconds: number; signal: AbortSignal },
  ): Promise<StateSummary> {
    return readState(this.#engine, containerId, directory, limits, sink, options);
  }

  writeState(
    containerId: string,
    directory: string,
    archive: Readable,
    options: { deadlineSeconds: number; signal: AbortSignal },
  ): Promise<void> {
    return writeState(this.#engine, containerId, directory, archive, options);
  }

  runInside(
    containerId: string,
    command: string | readonly string[],
    options: { deadlineSeconds: number; signal: AbortSignal },
  ): Promise<InsideResult> {
    return runInside(this.#engine, containerId, command, options);
  }

  thawTask(containerId: string): Promise<void> {
    return thaw(this.#engine, containerId);
  }

  async removeLease(leaseId: string): Promise<void> {
    for (const resource of await this.listOwned()) {
      if (resource.leaseId === leaseId)
        for (const output of this.#attached.get(resource.id) ?? []) output.close();
    }
    const holders = await removeLease(this.#engine, this.#agentId, leaseId);
    this.#holders?.release(holders);
  }

  /** Removes what is kept ready for tasks to come, and the machine's rules for their networks. */
  async close(): Promise<void> {
    await (this.#holders ?? new NetworkHolders(this.#engine, this.#agentId, null)).close();
    await this.#egress.close();
    await (this.#images ?? new PreparedImages(this.#engine, this.#agentId)).close();
  }

  listOwned(): Promise<OwnedResource[]> {
    return listOwned(this.#engine, this.#agentId);
  }

  async #hasEnded(containerId: string): Promise<boolean> {
    const status = await this.inspectTask(containerId);
    if (status === null) throw new ContainerError('task-not-found', `there is no container ${containerId}`);
    return status.state === 'exited';
  }

  /** Sends an order to end. A task that has ended already, or never started, needs none. */
  async #end(
    what: string,
    deadlineSeconds: number,
    containerId: string,
    order: (container: Docker.Container, signal: AbortSignal) => Promise<unknown>,
  ): Promise<void> {
    try {
      await this.#engine.call(what, deadlineSeconds, (client, signal) =>
        order(client.getContainer(containerId), signal),
      );
    } catch (error) {
      if (!isContainerError(error, 'engine-refused')) throw error;
      if (error.statusCode === 304 || error.statusCode === 409) return;
      throw notFound(error);
    }
  }

  /** The engine's archive of the directory; null when the task removed it. */
  async #openOutputs(containerId: string, signal?: AbortSignal): Promise<Readable | null> {
    try {
      return await this.#engine.open(
        'reading the outputs',
        { method: 'GET', path: `/containers/${containerId}/archive`, query: { path: OUTPUTS_DIRECTORY } },
        signal,
      );
    } catch (error) {
      if (isContainerError(error) && error.statusCode === 404) return null;
      throw error;
    }
  }
}

function taskStatus({ Id, State, Config }: ContainerReply): TaskStatus {
  const named = readLabels(Config.Labels);
  if (named === null) throw new ContainerError('task-not-found', `the container ${Id} is not a task of ours`);
  const state = taskState(State.Status);
  const exit: TaskExit = {
    exitCode: State.ExitCode,
    oomKilled: State.OOMKilled,
    startedAt: State.StartedAt,
    finishedAt: State.FinishedAt,
    error: State.Error === '' ? null : State.Error,
  };
  return { containerId: Id, ...named, state, exit: state === 'exited' ? exit : null };
}
