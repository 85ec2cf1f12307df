import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { isContainerError } from './container-error.ts';
import type { DockerEngine } from './docker-engine.ts';
import { containerListReply, containerReply } from './engine-replies.ts';
import { labels } from './task-labels.ts';

/*
 * Half of what starting a container takes is making its network namespace. So one is made ahead, while no task is
 * being started: by a container that does nothing, the holder, whose network a task then joins. A holder serves one
 * task alone and goes with it, and it has what every task without a network has, a loopback interface. Without a
 * holder at hand a task gets a namespace of its own, as before: this is only ever quicker.
 */

const REQUEST_SECONDS = 30;
/** Preparing yields to tasks: it begins when none has been made for this long. */
const QUIET_MS = 500;
/** After a failure, such as an engine that is away. */
const RETRY_MS = 30_000;
const IMAGE = 'computefabric/network-holder:2';
/** A holder ends after ten minutes; one that nobody took is replaced well before. */
const FRESH_MS = 300_000;

const asksToJoin = /^container:([0-9a-f]{64})$/;

/** The holder that a task's network mode names; null when the task has a namespace of its own. */
export function holderOf(networkMode: string): string | null {
  return asksToJoin.exec(networkMode)?.[1] ?? null;
}

/** Keeps one network namespace ready for the next task. */
export class NetworkHolders {
  readonly #engine: DockerEngine;
  readonly #agentId: string;
  #ready: string | null = null;
  #readySince = 0;
  /** Given to tasks whose containers may not be there yet, and when: they must not be taken for spare. */
  readonly #given = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #preparing: Promise<void> | undefined;
  #closed = false;

  constructor(engine: DockerEngine, agentId: string) {
    this.#engine = engine;
    this.#agentId = agentId;
  }

  /**
   * The network mode that joins a prepared namespace, for one task; null when none is ready. Not looked at once
   * more: that would cost every task, and the start of one whose holder has gone says so (`network-gone`).
   */
  take(): string | null {
    this.prepareSoon();
    const id = this.#ready;
    this.#ready = null;
    if (id !== null) this.#given.set(id, performance.now());
    return id === null ? null : `container:${id}`;
  }

  /** Gives up what is ready: whatever made the last one go may have hit this one too. */
  async drop(): Promise<void> {
    const id = this.#ready;
    this.#ready = null;
    this.prepareSoon();
    if (id !== null) await this.#remove(id);
  }

  /** Prepares the next one when the machine is quiet. Each call puts that off. */
  prepareSoon(afterMs = QUIET_MS): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#preparing ??= this.#prepare()
        .catch(() => this.prepareSoon(RETRY_MS)) // Tasks start without, only later; who asks next tries again.
        .finally(() => {
          this.#preparing = undefined;
        });
    }, afterMs);
    this.#timer.unref();
  }

  /** Removes every holder of this agent that no task has joined. None is made afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#preparing;
    this.#ready = null;
    this.#given.clear();
    await this.#removeSpare();
  }

  async #prepare(): Promise<void> {
    if (this.#closed) return;
    if (this.#ready !== null && performance.now() - this.#readySince < FRESH_MS) {
      this.prepareSoon(FRESH_MS);
      return;
    }
    this.#ready = null;
    // What an earlier process left, or could not remove.
    await this.#removeSpare();
    await this.#ensureImage();
    const id = await this.#start();
    if (this.#closed) await this.#remove(id);
    else {
      this.#ready = id;
      this.#readySince = performance.now();
      this.prepareSoon(FRESH_MS);
    }
  }

  async #start(): Promise<string> {
    const container = await this.#engine.call(
      'making a network namespace',
      REQUEST_SECONDS,
      (client, signal) =>
        client.createContainer({
          name: `cf-network-${randomBytes(8).toString('hex')}`,
          Image: IMAGE,
          // The name that the task in it sees.
          Hostname: 'job',
          User: '65534:65534',
          Labels: { [labels.agent]: this.#agentId, [labels.holder]: 'network' },
          HostConfig: {
            NetworkMode: 'none',
            CapDrop: ['ALL'],
            SecurityOpt: ['no-new-privileges'],
            ReadonlyRootfs: true,
            Memory: 16 * 1_048_576,
            MemorySwap: 16 * 1_048_576,
            PidsLimit: 1,
            AutoRemove: true,
            RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
            LogConfig: { Type: 'none', Config: {} },
          },
          abortSignal: signal,
        }),
    );
    try {
      await this.#engine.call('starting a network namespace', REQUEST_SECONDS, (client, signal) =>
        client.getContainer(container.id).start({ abortSignal: signal }),
      );
      if (!(await this.#runs(container.id)))
        throw new Error('the holder of a network namespace ended at once');
      return container.id;
    } catch (error) {
      await this.#remove(container.id);
      throw error;
    }
  }

  async #runs(id: string): Promise<boolean> {
    try {
      const reply = await this.#engine.call(
        'looking at a network namespace',
        REQUEST_SECONDS,
        (client, signal) => client.getContainer(id).inspect({ abortSignal: signal }),
      );
      return containerReply.parse(reply).State.Status === 'running';
    } catch (error) {
      if (isContainerError(error)) return false; // Gone, or the engine is: the task is made without.
      throw error;
    }
  }

  async #remove(id: string): Promise<void> {
    await removeHolder(this.#engine, id).catch(() => undefined); // Left for the next look through.
  }

  async #removeSpare(): Promise<void> {
    const filters = { label: [`${labels.agent}=${this.#agentId}`] };
    const reply = await this.#engine.call('listing network namespaces', REQUEST_SECONDS, (client, signal) =>
      client.listContainers({ all: true, filters, abortSignal: signal }),
    );
    const containers = containerListReply.parse(reply);
    const joined = new Set(containers.map(({ HostConfig }) => holderOf(HostConfig.NetworkMode)));
    for (const [id, givenAt] of this.#given)
      if (performance.now() - givenAt > FRESH_MS) this.#given.delete(id); // Joined by now, or never.
    for (const { Id, Labels } of containers) {
      if (
        Labels[labels.holder] !== undefined &&
        !joined.has(Id) &&
        !this.#given.has(Id) &&
        Id !== this.#ready
      )
        await removeHolder(this.#engine, Id);
    }
  }

  async #ensureImage(): Promise<void> {
    const present = await this.#engine
      .call('looking for the holder image', REQUEST_SECONDS, (client) => client.getImage(IMAGE).inspect())
      .catch((error: unknown) => {
        if (isContainerError(error) && error.statusCode === 404) return null;
        throw error;
      });
    if (present) return;
    const { Architecture: arch } = await this.#engine.call(
      'asking about the engine',
      REQUEST_SECONDS,
      (client) => client.info(),
    );
    const program = programs[arch === 'aarch64' || arch === 'arm64' ? 'arm64' : 'x64'];
    const archive = pack();
    archive.entry({ name: 'hold', mode: 0o755 }, Buffer.from(program, 'base64'));
    archive.finalize();
    const layer = await buffer(archive);
    const [repo, tag] = IMAGE.split(':');
    const progress = await this.#engine.call('making the holder image', REQUEST_SECONDS, (client) =>
      client.importImage(Readable.from([layer]), { repo, tag, changes: ['ENTRYPOINT ["/hold"]'] }),
    );
    const said = await text(progress);
    if (said.includes('"error"')) throw new Error(`the holder image could not be made: ${said}`);
  }
}

/** Removes one holder; nothing to do is success. */
export async function removeHolder(engine: DockerEngine, id: string): Promise<void> {
  try {
    await engine.call('removing a network namespace', REQUEST_SECONDS, (client, signal) =>
      client.getContainer(id).remove({ force: true, v: true, abortSignal: signal }),
    );
  } catch (error) {
    if (!isContainerError(error) || (error.statusCode !== 404 && error.statusCode !== 409)) throw error;
  }
}

/**
 * A Linux program that sleeps for ten minutes and ends, 161 and 168 bytes: an ELF head, `nanosleep`, `exit`. It
 * is in here because there may be no registry to fetch one from. It ends by itself so that nothing stays behind of
 * an agent that was killed and never came back; a task that has joined keeps the namespace.
 */
const programs = {
  x64: 'f0VMRgIBAQAAAAAAAAAAAAIAPgABAAAAeABAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAEAAOAABAAAAAAAAAAEAAAAFAAAAAAAAAAAAAAAAAEAAAAAAAAAAQAAAAAAAoQAAAAAAAAChAAAAAAAAAAAQAAAAAAAAuCMAAABIjT0NAAAAMfYPBbg8AAAAMf8PBVgCAAAAAAAAAAAAAAAAAAA=',
  arm64:
    'f0VMRgIBAQAAAAAAAAAAAAIAtwABAAAAeABAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAEAAOAABAAAAAAAAAAEAAAAFAAAAAAAAAAAAAAAAAEAAAAAAAAAAQAAAAAAAqAAAAAAAAACoAAAAAAAAAAAAAQAAAAAAqAyA0uAAABABAIDSAQAA1KgLgNIAAIDSAQAA1B8gA9VYAgAAAAAAAAAAAAAAAAAA',
};
