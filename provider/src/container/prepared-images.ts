import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { z } from 'zod';
import { isContainerError } from './container-error.ts';
import type { DockerEngine } from './docker-engine.ts';
import { directoryName } from './docker-state.ts';
import { inspectImage } from './docker-images.ts';
import { containerListReply, imageListReply, type ImageReply } from './engine-replies.ts';
import { removeHolder } from './network-holders.ts';

/*
 * A task needs `/outputs`, and perhaps a directory for its state, in its own file system and writable by every
 * user. Making them in a container costs the engine 40 ms or more, because it starts a process of its own to unpack
 * them. So the first task of an image has them made in its container, and meanwhile an image is made of the task's
 * image and an empty layer with just these directories, from which the next tasks are created. A container of it is
 * the same in everything else. Without one at hand tasks are made as before: this is only ever quicker.
 *
 * A prepared image is only known by the id that the engine gave when it was made, in this process: by name, anybody
 * could publish one. See decision 0020.
 */

const REPOSITORY = 'computefabric/prepared';
const REQUEST_SECONDS = 60;
/** Preparing begins this long after the task that showed the need: its start comes first. */
const DELAY_MS = 1_000;
/** Kept at once. Each takes no room by itself but holds on to the layers of its image. */
const MOST_KEPT = 16;

interface Prepared {
  id: string;
  name: string;
  baseId: string;
}

interface Wish {
  base: ImageReply;
  directories: readonly string[];
}

/** Keeps images that have the directories of tasks in them. */
export class PreparedImages {
  readonly #engine: DockerEngine;
  /** Begins the tags of what this agent makes. */
  readonly #mark: string;
  /** By image and directories, least recently used first. */
  readonly #kept = new Map<string, Prepared>();
  readonly #wishes = new Map<string, Wish>();
  #timer: NodeJS.Timeout | undefined;
  #preparing: Promise<void> | undefined;
  #sweptLeftovers = false;
  #closed = false;

  constructor(engine: DockerEngine, agentId: string) {
    this.#engine = engine;
    this.#mark = digest(agentId).slice(0, 12);
  }

  /** The image to create a task from instead of this one; null when none is prepared, which one will be then. */
  take(base: ImageReply, directories: readonly string[]): string | null {
    const key = keyOf(base.Id, directories);
    const prepared = this.#kept.get(key);
    if (prepared) {
      this.#kept.delete(key);
      this.#kept.set(key, prepared);
      return prepared.id;
    }
    // An image without a name is about to go: nothing of ours should hold on to its layers.
    if (!this.#closed && base.RepoTags.length + base.RepoDigests.length > 0) {
      this.#wishes.set(key, { base, directories });
      this.#prepareSoon();
    }
    return null;
  }

  /** It is not there any more: somebody has cleaned up. */
  forget(id: string): void {
    for (const [key, prepared] of this.#kept) if (prepared.id === id) this.#kept.delete(key);
  }

  /** Removes every image that this agent has prepared, also in earlier processes. None is made afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#preparing;
    this.#kept.clear();
    await this.#removeLeftovers();
  }

  get #containerPrefix(): string {
    return `cf-prepare-${this.#mark}-`;
  }

  #prepareSoon(): void {
    if (this.#timer || this.#preparing) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // A failure costs nothing but the time that would have been saved; the next task wishes again.
      this.#preparing = this.#work()
        .catch(() => this.#wishes.clear())
        .finally(() => {
          this.#preparing = undefined;
        });
    }, DELAY_MS);
    this.#timer.unref();
  }

  async #work(): Promise<void> {
    if (!this.#sweptLeftovers) await this.#removeLeftovers();
    this.#sweptLeftovers = true;
    for (const [key, wish] of this.#wishes) {
      if (this.#closed) return;
      // Wished for again while it is being made, it is there already.
      if (!this.#kept.has(key)) this.#kept.set(key, await this.#prepare(key, wish));
      this.#wishes.delete(key);
    }
    await this.#removeUnneeded();
  }

  async #prepare(key: string, { base, directories }: Wish): Promise<Prepared> {
    const tag = `${this.#mark}-${digest(key).slice(0, 32)}`;
    const archive = await directoryArchive(directories);
    const name = `${this.#containerPrefix}${randomBytes(8).toString('hex')}`;
    const container = await this.#engine.call('preparing an image', REQUEST_SECONDS, (client, signal) =>
      // Of the image and nothing else, so that its settings pass on as they are. It never runs; a command is
      // named only where the image has none, because the engine wants one.
      client.createContainer({
        name,
        Image: base.Id,
        ...(base.Config.Cmd.length + base.Config.Entrypoint.length > 0 ? {} : { Cmd: ['/none'] }),
        HostConfig: { NetworkMode: 'none' },
        abortSignal: signal,
      }),
    );
    try {
      await this.#engine.call('preparing an image', REQUEST_SECONDS, (_client, signal) =>
        container.putArchive(archive, { path: '/', abortSignal: signal }),
      );
      const made = await this.#engine.call('preparing an image', REQUEST_SECONDS, (_client, signal) =>
        container.commit({ repo: REPOSITORY, tag, pause: false, abortSignal: signal }),
      );
      return { id: madeReply.parse(made).Id, name: `${REPOSITORY}:${tag}`, baseId: base.Id };
    } finally {
      await this.#engine.call('preparing an image', REQUEST_SECONDS, (_client, signal) =>
        container.remove({ force: true, v: true, abortSignal: signal }),
      );
    }
  }

  /** What is used least when there are too many, and what was made of an image that the owner has removed. */
  async #removeUnneeded(): Promise<void> {
    for (const [key, prepared] of this.#kept) {
      const base = await inspectImage(this.#engine, prepared.baseId);
      const named = base !== null && base.RepoTags.length + base.RepoDigests.length > 0;
      if (named && this.#kept.size <= MOST_KEPT) continue;
      this.#kept.delete(key);
      await this.#remove(prepared.name);
    }
  }

  /** What earlier processes have left, or could not remove. */
  async #removeLeftovers(): Promise<void> {
    const containers = await this.#engine.call('listing preparations', REQUEST_SECONDS, (client, signal) =>
      client.listContainers({
        all: true,
        filters: { name: [`^/${this.#containerPrefix}`] },
        abortSignal: signal,
      }),
    );
    for (const { Id } of containerListReply.parse(containers)) await removeHolder(this.#engine, Id);
    const filters = { reference: [`${REPOSITORY}:${this.#mark}-*`] };
    const reply = await this.#engine.call('listing prepared images', REQUEST_SECONDS, (client, signal) =>
      client.listImages({ filters, abortSignal: signal }),
    );
    const names = imageListReply.parse(reply).flatMap(({ RepoTags }) => RepoTags);
    for (const name of names) {
      if (name.startsWith(`${REPOSITORY}:${this.#mark}-`)) await this.#remove(name);
    }
  }

  async #remove(name: string): Promise<void> {
    try {
      await this.#engine.call('removing a prepared image', REQUEST_SECONDS, (client, signal) =>
        client.getImage(name).remove({ abortSignal: signal }),
      );
    } catch (error) {
      // Gone already, or a task still uses it: then it goes as a leftover.
      if (!isContainerError(error) || (error.statusCode !== 404 && error.statusCode !== 409)) throw error;
    }
  }
}

const madeReply = z.object({ Id: z.string() });

/** An archive of empty directories that every user may write into. */
export async function directoryArchive(directories: readonly string[]): Promise<Buffer> {
  const archive = pack();
  for (const directory of directories) {
    archive.entry({
      name: `${directoryName(directory)}/`,
      type: 'directory',
      mode: 0o777,
      uid: 0,
      gid: 0,
    });
  }
  archive.finalize();
  return await buffer(archive);
}

function keyOf(baseId: string, directories: readonly string[]): string {
  return JSON.stringify([baseId, ...directories]);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
