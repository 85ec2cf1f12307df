import { pause } from '@computefabric/runtime/wait';
import type { OwnedResource, TaskState } from './container-driver.ts';
import { ContainerError, isContainerError } from './container-error.ts';
import type { DockerEngine } from './docker-engine.ts';
import { containerListReply } from './engine-replies.ts';
import { holderOf, removeHolder } from './network-holders.ts';
import { labels, readLabels } from './task-labels.ts';

const LIST_SECONDS = 30;
/** Killing, then deleting a writable layer of many gigabytes. */
const REMOVE_SECONDS = 120;

interface EngineResources {
  owned: OwnedResource[];
  /** The prepared network namespace that a container has joined. */
  holders: Map<OwnedResource, string>;
}

/** Every container of this agent's tasks. */
export async function listOwned(engine: DockerEngine, agentId: string): Promise<OwnedResource[]> {
  return (await listResources(engine, agentId)).owned;
}

async function listResources(engine: DockerEngine, agentId: string): Promise<EngineResources> {
  const filters = { label: [`${labels.agent}=${agentId}`] };
  const containers = await engine.call('listing containers', LIST_SECONDS, (client, signal) =>
    client.listContainers({ all: true, filters, abortSignal: signal }),
  );
  const owned: OwnedResource[] = [];
  const holders = new Map<OwnedResource, string>();
  for (const { Id, State, Labels, Created, HostConfig } of containerListReply.parse(containers)) {
    const named = readLabels(Labels);
    if (named === null) continue;
    const createdAt = new Date(Created * 1000);
    const container: OwnedResource = { id: Id, ...named, state: taskState(State), createdAt };
    owned.push(container);
    const holder = holderOf(HostConfig.NetworkMode);
    if (holder !== null) holders.set(container, holder);
  }
  return { owned, holders };
}

/** Removes what the lease has: the container, and last what held its network. Gives the holders. */
export async function removeLease(engine: DockerEngine, agentId: string, leaseId: string): Promise<string[]> {
  const resources = await listResources(engine, agentId);
  const owned = resources.owned.filter((resource) => resource.leaseId === leaseId);
  for (const { id } of owned) await removeContainer(engine, id);
  const holders = owned.flatMap((resource) => resources.holders.get(resource) ?? []);
  for (const holder of holders) await removeHolder(engine, holder);
  return holders;
}

/** The engine's states in our words. A paused task is one that runs, only not now. */
export function taskState(engineState: string): TaskState {
  switch (engineState) {
    case 'created':
      return 'created';
    case 'running':
    case 'paused':
    case 'restarting':
      return 'running';
    default:
      return 'exited';
  }
}

async function removeContainer(engine: DockerEngine, id: string): Promise<void> {
  await untilGone('removing the container', async () => {
    await engine.call('removing the container', REMOVE_SECONDS, (client, signal) =>
      client.getContainer(id).remove({ force: true, v: true, abortSignal: signal }),
    );
  });
}

/**
 * Repeats a removal until it says done or not found. Refusals in between are of passing nature: somebody else is
 * removing it.
 */
async function untilGone(what: string, remove: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + REMOVE_SECONDS * 1000;
  for (;;) {
    try {
      await remove();
      return;
    } catch (error) {
      if (!isContainerError(error, 'engine-refused')) throw error;
      if (error.statusCode === 404) return;
      if (error.statusCode !== 409) throw error;
      if (performance.now() > deadline) {
        throw new ContainerError('engine-timeout', `${what}: still refused after ${REMOVE_SECONDS} s`, {
          cause: error,
        });
      }
      await pause(100);
    }
  }
}
