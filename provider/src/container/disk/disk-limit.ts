import { buffer } from 'node:stream/consumers';
import { toError } from '@computefabric/runtime/errors';
import { pack } from 'tar-stream';
import { isContainerError } from '../container-error.ts';
import type { DockerEngine } from '../docker-engine.ts';
import { containerListReply, containerReply } from '../engine-replies.ts';
import { ensureHolderImage, removeHolder } from '../network-holders.ts';
import { labels } from '../task-labels.ts';
import { type TaskDisk, TaskDisks } from './task-disks.ts';

const REQUEST_SECONDS = 30;
const TRIAL = 'disk-trial';
const TRIAL_BYTES = 16 * 2 ** 20;

/**
 * Limits what tasks write, where that was seen to work: a trial container was given a small disk, and the engine could
 * not write more into it. Whatever may differ (no root, another storage driver, an engine that does not see our
 * mounts) shows there, and then tasks have no limit, which the machine says.
 */
export class DiskLimit {
  readonly #disks: TaskDisks;
  readonly #defaultBytes: number;
  #proven: Promise<string | null> | undefined;

  constructor(folder: string, defaultBytes: number) {
    this.#disks = new TaskDisks(folder);
    this.#defaultBytes = defaultBytes;
  }

  /** Why what tasks write has no end here; null when it has. Tried once. */
  problem(engine: DockerEngine, agentId: string): Promise<string | null> {
    this.#proven ??= this.#prove(engine, agentId).then(
      () => null,
      (thrown: unknown) => toError(thrown).message,
    );
    return this.#proven;
  }

  /** A disk for a task; null where there is no limit. A task that asks for more than usual gets that. */
  async take(engine: DockerEngine, agentId: string, askedBytes: number): Promise<TaskDisk | null> {
    if ((await this.problem(engine, agentId)) !== null) return null;
    return await this.#disks.make(Math.max(askedBytes, this.#defaultBytes));
  }

  async #prove(engine: DockerEngine, agentId: string): Promise<void> {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) throw new Error('the agent is not root');
    const image = await ensureHolderImage(engine);
    await removeTrials(engine, agentId); // What an earlier process left in the middle of one.
    const disk = await this.#disks.make(TRIAL_BYTES);
    let id: string | null = null;
    try {
      const container = await engine.call('trying the limit of a disk', REQUEST_SECONDS, (client, signal) =>
        client.createContainer({
          Image: image,
          Labels: { [labels.agent]: agentId, [labels.holder]: TRIAL },
          HostConfig: { NetworkMode: 'none' },
          abortSignal: signal,
        }),
      );
      id = container.id;
      const reply = await engine.call('trying the limit of a disk', REQUEST_SECONDS, (_client, signal) =>
        container.inspect({ abortSignal: signal }),
      );
      await disk.attach(upperDirectoryOf(reply));
      const archive = pack();
      archive.entry({ name: 'more' }, Buffer.alloc(TRIAL_BYTES + 2 ** 20, 1));
      archive.finalize();
      const tooMuch = await buffer(archive);
      const refused = await engine
        .call('trying the limit of a disk', REQUEST_SECONDS, (_client, signal) =>
          container.putArchive(tooMuch, { path: '/', abortSignal: signal }),
        )
        .then(
          () => false,
          (thrown: unknown) => {
            if (isContainerError(thrown) && /no space left/i.test(thrown.message)) return true;
            throw thrown;
          },
        );
      if (!refused) throw new Error('the engine does not see the file systems that the agent mounts');
    } finally {
      await disk.discard();
      if (id !== null) await removeHolder(engine, id);
    }
  }
}

async function removeTrials(engine: DockerEngine, agentId: string): Promise<void> {
  const filters = { label: [`${labels.agent}=${agentId}`, `${labels.holder}=${TRIAL}`] };
  const found = await engine.call('looking for trials', REQUEST_SECONDS, (client, signal) =>
    client.listContainers({ all: true, filters, abortSignal: signal }),
  );
  for (const { Id } of containerListReply.parse(found)) await removeHolder(engine, Id);
}

/** Where the engine keeps what the container writes. */
export function upperDirectoryOf(reply: unknown): string {
  const { GraphDriver } = containerReply.parse(reply);
  const upper = GraphDriver.Name === 'overlay2' ? GraphDriver.Data.UpperDir : undefined;
  if (upper === undefined) {
    throw new Error(
      `the engine's storage (${GraphDriver.Name || 'unknown'}) does not say where it keeps what a task writes`,
    );
  }
  return upper;
}
