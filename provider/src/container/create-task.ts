import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type Docker from 'dockerode';
import type { TaskSpec } from './container-driver.ts';
import { ContainerError, isContainerError } from './container-error.ts';
import { type DiskLimit, upperDirectoryOf } from './disk/disk-limit.ts';
import type { DockerEngine } from './docker-engine.ts';
import { containerReply, type ImageReply } from './engine-replies.ts';
import { findTemplateMismatch, hostConfig, type TaskHostConfig } from './host-config.ts';
import { holderOf, type NetworkHolders } from './network-holders.ts';
import { removeLease } from './owned-resources.ts';
import { directoryArchive, type PreparedImages } from './prepared-images.ts';
import { OUTPUTS_DIRECTORY, taskEnvironment } from './task-environment.ts';
import { type GVisor, gvisorRuntime } from './sandbox/gvisor.ts';
import { taskLabels } from './task-labels.ts';
import { checkTaskSpec } from './task-spec.ts';

const REQUEST_SECONDS = 30;
/** Making a container copies its image's changes of ownership and can wait for a busy disk. */
const CREATE_SECONDS = 120;

export interface CreateNeeds {
  engine: DockerEngine;
  agentId: string;
  engineLogFileBytes: number;
  /** What the image brings along; null when it is not there. */
  inspectImage: (reference: string) => Promise<ImageReply | null>;
  /** Gives each task its network; null gives loopback alone, from nothing. */
  holders: NetworkHolders | null;
  /** Limits what tasks write; null leaves it at the engine's disk. */
  disk: DiskLimit | null;
  /** Runs programs, where the owner demands it; null leaves it to the engine's usual runtime. */
  gvisor: GVisor | null;
  /** Prepared images; null makes each task from nothing. */
  images: PreparedImages | null;
}

/** See `ContainerDriver.createTask`. What a failed creation has made is removed again. */
export async function createTask(
  { engine, agentId, engineLogFileBytes, inspectImage, holders, disk, gvisor, images }: CreateNeeds,
  spec: TaskSpec,
): Promise<string> {
  checkTaskSpec(spec);
  const image = await inspectImage(spec.image);
  if (image === null) throw imageMissing(spec);
  const name = resourceName(agentId, spec.leaseId);
  await gvisor?.prove(engine, agentId);
  const { networkMode, proxy } = await networkOf(holders, spec);
  const settings = hostConfig({
    spec,
    networkMode,
    runtime: gvisor === null ? null : gvisorRuntime,
    imageVolumes: image.Config.Volumes,
    stateDirectory: spec.stateDirectory,
    engineLogFileBytes,
  });
  const body = createRequest(agentId, spec, image, name, settings, proxy);

  // Made meanwhile: it takes as long as making the container.
  const making = disk?.take(engine, agentId, spec.diskBytes) ?? Promise.resolve(null);
  making.catch(() => undefined); // Awaited below, unless something else fails first.
  try {
    const directories = directoriesOf(spec);
    const prepared = images?.take(image, directories) ?? null;
    let containerId = prepared && (await createContainer(engine, { ...body, Image: prepared }));
    if (prepared && containerId === null) images?.forget(prepared);
    const bare = containerId === null;
    containerId ??= await createContainer(engine, body);
    if (containerId === null) throw imageMissing(spec);
    const upperDirectory = await verify(engine, containerId, body);
    await (await making)?.attach(upperDirectory());
    if (bare) await makeDirectories(engine, containerId, directories);
    return containerId;
  } catch (error) {
    await making.then(
      (made) => made?.discard(),
      () => undefined, // It was not made: nothing is left of it.
    );
    // The name was taken: by the container that the lease has already, which stays.
    if (isContainerError(error, 'task-exists')) throw error;
    try {
      await removeLease(engine, agentId, spec.leaseId);
    } catch {
      // The first failure is the one to report; what is left carries our labels and is swept.
    }
    throw error;
  }
}

function imageMissing(spec: TaskSpec): ContainerError {
  return new ContainerError('image-not-found', `the image ${spec.image} is not on this machine`);
}

/** What a task finds in its own file system, made before it starts, so that no directory of the host is needed. */
function directoriesOf({ stateDirectory }: TaskSpec): string[] {
  return [OUTPUTS_DIRECTORY, ...(stateDirectory === null ? [] : [stateDirectory])];
}

async function networkOf(
  holders: NetworkHolders | null,
  { network }: TaskSpec,
): Promise<{ networkMode: string; proxy: string | null }> {
  if (holders !== null) return await holders.take(network);
  if (network.mode === 'none') return { networkMode: 'none', proxy: null };
  throw new ContainerError('network-unavailable', 'this agent gives tasks no network');
}

/** What is sent to the engine. Everything but numbers, identity, command and environment is the same for all. */
function createRequest(
  agentId: string,
  spec: TaskSpec,
  image: ImageReply,
  name: string,
  settings: TaskHostConfig,
  proxy: string | null,
): Docker.ContainerCreateOptions & { HostConfig: TaskHostConfig } {
  const { Cmd, Entrypoint, Env } = image.Config;
  if (spec.command === null && Cmd.length === 0 && Entrypoint.length === 0) {
    throw new ContainerError(
      'command-missing',
      `no command was given and the image ${spec.image} brings none`,
    );
  }
  return {
    name,
    Image: image.Id,
    // With a prepared network comes the name of what holds it, which is the same.
    ...(holderOf(settings.NetworkMode ?? '') === null ? { Hostname: 'job' } : {}),
    ...(typeof spec.command === 'string' ? { Entrypoint: ['/bin/sh', '-c'], Cmd: [spec.command] } : {}),
    ...(Array.isArray(spec.command) ? { Cmd: [...spec.command] } : {}),
    Env: taskEnvironment(spec, Env, proxy),
    Labels: taskLabels(agentId, spec),
    Tty: false,
    OpenStdin: false,
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    // An image can name another signal, one that stops nothing; and a check of its own that runs every second.
    StopSignal: 'SIGTERM',
    Healthcheck: { Test: ['NONE'] },
    HostConfig: settings,
  };
}

/** The engine names one thing once, so a second container of a lease cannot come to be, whoever races whom. */
function resourceName(agentId: string, leaseId: string): string {
  return `cf-${digest(agentId).slice(0, 8)}-${leaseId}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Null when the image is not there (any more). */
async function createContainer(
  engine: DockerEngine,
  body: Docker.ContainerCreateOptions,
): Promise<string | null> {
  try {
    const container = await engine.call('creating the container', CREATE_SECONDS, (client, signal) =>
      client.createContainer({ ...body, abortSignal: signal }),
    );
    return container.id;
  } catch (error) {
    if (!isContainerError(error, 'engine-refused')) throw error;
    if (error.statusCode === 404 && /no such image/i.test(error.message)) return null;
    if (error.statusCode === 409) throw new ContainerError('task-exists', error.message, { cause: error });
    if (/no space left on device/i.test(error.message)) {
      throw new ContainerError('disk-full', error.message, { cause: error });
    }
    throw error;
  }
}

/**
 * Reads the settings back, and gives where the engine keeps what the container writes: an engine that cannot apply one (an old kernel, say) only warns, and goes on without. */
async function verify(
  engine: DockerEngine,
  containerId: string,
  body: Docker.ContainerCreateOptions & { HostConfig: TaskHostConfig },
): Promise<() => string> {
  const reply = await engine.call('inspecting the container', REQUEST_SECONDS, (client, signal) =>
    client.getContainer(containerId).inspect({ abortSignal: signal }),
  );
  const { HostConfig, Mounts, Config } = containerReply.parse(reply);
  const wrong =
    findTemplateMismatch(body.HostConfig, HostConfig) ??
    (Mounts.length > 0 ? `Mounts: expected none, got ${JSON.stringify(Mounts)}` : null) ??
    ((body.Env ?? []).every((line) => Config.Env.includes(line))
      ? null
      : 'Env: a variable of ours is missing') ??
    (isDeepStrictEqual(Config.Healthcheck?.Test, ['NONE']) ? null : 'Healthcheck: expected none');
  if (wrong !== null) throw new ContainerError('template-mismatch', `the engine changed a setting: ${wrong}`);
  return () => upperDirectoryOf(reply);
}

async function makeDirectories(
  engine: DockerEngine,
  containerId: string,
  directories: readonly string[],
): Promise<void> {
  const archive = await directoryArchive(directories);
  await engine.call('making the directories', REQUEST_SECONDS, (client, signal) =>
    client.getContainer(containerId).putArchive(archive, { path: '/', abortSignal: signal }),
  );
}
