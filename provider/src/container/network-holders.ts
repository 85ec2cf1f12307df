import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { toError } from '@computefabric/runtime/errors';
import type { NetworkOffer, TaskNetwork } from './container-driver.ts';
import { ContainerError, isContainerError } from './container-error.ts';
import type { DockerEngine } from './docker-engine.ts';
import { containerListReply, containerReply } from './engine-replies.ts';
import { holdProgram } from './network/hold-program.ts';
import type { TaskEgress } from './network/task-egress.ts';
import type { TaskLink } from './network/task-links.ts';
import { labels } from './task-labels.ts';

/*
 * Half of what starting a container takes is making its network namespace. So one is made ahead, while no task is
 * being started: by a container that does nothing, the holder, whose network a task then joins. A holder serves one
 * task alone and goes with it. It has loopback and, where this agent can let tasks out, a way out with its rules in
 * force (`network/task-egress.ts`): a task starts in a namespace that is guarded already. For a task without a
 * network the way out is taken away again; without a holder at hand it gets a namespace of its own.
 */

const REQUEST_SECONDS = 30;
/** Preparing yields to tasks: it begins when none has been made for this long. */
const QUIET_MS = 500;
/** After a failure, such as an engine that is away. */
const RETRY_MS = 30_000;
const IMAGE = 'computefabric/network-holder:3';
/** A holder ends after ten minutes; one that nobody took is replaced well before. */
const FRESH_MS = 300_000;

const asksToJoin = /^container:([0-9a-f]{64})$/;

/** The holder that a task's network mode names; null when the task has a namespace of its own. */
export function holderOf(networkMode: string): string | null {
  return asksToJoin.exec(networkMode)?.[1] ?? null;
}

/** A namespace that nobody has joined yet; with loopback alone where `link` is null. */
interface Holder {
  id: string;
  link: TaskLink | null;
}

/** What a task is created with. */
interface GivenNetwork {
  networkMode: string;
  /** Its only way out, with an allowlist. */
  proxy: string | null;
}

/** Keeps one network namespace ready for the next task. */
export class NetworkHolders {
  readonly #engine: DockerEngine;
  readonly #agentId: string;
  /** Null where tasks are never let out. */
  readonly #egress: TaskEgress | null;
  #ready: Holder | null = null;
  #readySince = 0;
  /** Given to tasks whose containers may not be there yet, and when: they must not be taken for spare. */
  readonly #given = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #preparing: Promise<void> | undefined;
  #closed = false;

  constructor(engine: DockerEngine, agentId: string, egress: TaskEgress | null) {
    this.#engine = engine;
    this.#agentId = agentId;
    this.#egress = egress;
  }

  /**
   * The network mode of one task: that of a prepared namespace, which is not looked at once more, because that would
   * cost every task, and the start of one whose holder has gone says so (`network-gone`).
   *
   * @throws ContainerError `network-unavailable` when tasks cannot be let out
   */
  async take(network: TaskNetwork): Promise<GivenNetwork> {
    this.prepareSoon();
    if (network.mode === 'none') {
      const holder = this.#takeReady();
      if (holder === null) return { networkMode: 'none', proxy: null };
      if (holder.link !== null) await this.#egress?.cutOff(holder.link);
      return { networkMode: `container:${holder.id}`, proxy: null };
    }
    const { id, link } = await this.#takeWithLink();
    const proxy =
      network.mode === 'allowlist'
        ? ((await this.#egress?.toServersOnly(link, network.allow)) ?? null)
        : null;
    return { networkMode: `container:${id}`, proxy };
  }

  /** What these held is not needed any more. */
  release(holderIds: readonly string[]): void {
    for (const id of holderIds) this.#egress?.release(id);
  }

  /** Proxies live in this process: those of tasks that an earlier one started are opened again. */
  async #adoptProxies(): Promise<void> {
    if (this.#egress === null || this.#egress.problem !== null) return;
    const filters = { label: [`${labels.agent}=${this.#agentId}`, labels.allow] };
    const reply = await this.#engine.call(
      'looking for tasks with a proxy',
      REQUEST_SECONDS,
      (client, signal) => client.listContainers({ filters, abortSignal: signal }),
    );
    for (const { Id, Labels, HostConfig } of containerListReply.parse(reply)) {
      const holderId = holderOf(HostConfig.NetworkMode);
      const pid = await this.#runningPid(Id);
      if (holderId === null || pid === null) continue;
      const allow = (Labels[labels.allow] ?? '').split(' ');
      try {
        await this.#egress.adoptProxy(holderId, { containerId: Id, pid }, allow);
      } catch (thrown) {
        // It ended just now, or has no way out from here on: it reaches less than it may, not more.
        this.#egress.options.onProblem(`a job has lost its proxy: ${toError(thrown).message}`);
      }
    }
  }

  /** One that leads out: the prepared one, the one that is being prepared, or one made now. */
  async #takeWithLink(): Promise<Holder & { link: TaskLink }> {
    for (;;) {
      const { link, id } = this.#takeReady() ?? { id: null, link: null };
      if (link !== null) return { id, link };
      if (id !== null) await this.#remove(id);
      if (this.#preparing === undefined) {
        // Only one is made at a time: who looks for spare ones would take a half-made one for one of these.
        let made: (Holder & { link: TaskLink }) | undefined;
        this.#preparing = this.#makeWithLink()
          .then((holder) => {
            made = holder;
            this.#given.set(holder.id, performance.now());
          })
          .finally(() => {
            this.#preparing = undefined;
          });
        await this.#preparing;
        if (made) return made;
      } else await this.#preparing.catch(() => undefined); // Its failure is told by the next try, which is ours.
    }
  }

  #takeReady(): Holder | null {
    const holder = this.#ready;
    this.#ready = null;
    if (holder !== null) this.#given.set(holder.id, performance.now());
    return holder;
  }

  /** What tasks may have here. Waits for a first proof that the rules hold. */
  async offer(): Promise<NetworkOffer> {
    if (this.#egress === null) return { modes: ['none'], note: null };
    const offer = await this.#egress.offer(() => this.#prepareNow());
    await this.#adoptProxies();
    return offer;
  }

  /** Gives up what is ready: whatever made the last one go may have hit this one too. */
  async drop(): Promise<void> {
    const holder = this.#ready;
    this.#ready = null;
    this.prepareSoon();
    if (holder !== null) await this.#remove(holder.id);
  }

  /** Prepares the next one when the machine is quiet. Each call puts that off. */
  prepareSoon(afterMs = QUIET_MS): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // Tasks start without, only later; who asks next tries again.
      this.#prepareNow().catch(() => this.prepareSoon(RETRY_MS));
    }, afterMs);
    this.#timer.unref();
  }

  #prepareNow(): Promise<void> {
    this.#preparing ??= this.#prepare().finally(() => {
      this.#preparing = undefined;
    });
    return this.#preparing;
  }

  /** Removes every holder of this agent that no task has joined. None is made afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#preparing?.catch(() => undefined); // It failed: there is nothing of it to remove.
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
    await ensureHolderImage(this.#engine);
    const holder =
      this.#egress === null || this.#egress.problem !== null
        ? { id: await this.#start(), link: null }
        : await this.#makeWithLink();
    if (this.#closed) await this.#remove(holder.id);
    else {
      this.#ready = holder;
      this.#readySince = performance.now();
      this.prepareSoon(FRESH_MS);
    }
  }

  async #makeWithLink(): Promise<Holder & { link: TaskLink }> {
    if (this.#egress === null) throw new ContainerError('network-unavailable', 'tasks get no network here');
    await ensureHolderImage(this.#engine);
    const id = await this.#start();
    try {
      const pid = await this.#runningPid(id);
      if (pid === null) throw new Error('the holder of a network namespace is gone');
      return { id, link: await this.#egress.letOut({ containerId: id, pid }) };
    } catch (thrown) {
      await this.#remove(id);
      throw new ContainerError('network-unavailable', toError(thrown).message, { cause: toError(thrown) });
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
            // The task in it finds them in its /etc/resolv.conf; without a way out nobody answers.
            Dns: [...(this.#egress?.options.resolvers ?? [])],
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
      if ((await this.#runningPid(container.id)) === null)
        throw new Error('the holder of a network namespace ended at once');
      return container.id;
    } catch (error) {
      await this.#remove(container.id);
      throw error;
    }
  }

  /** The number of its process on the machine; null when it does not run. */
  async #runningPid(id: string): Promise<number | null> {
    try {
      const reply = await this.#engine.call(
        'looking at a network namespace',
        REQUEST_SECONDS,
        (client, signal) => client.getContainer(id).inspect({ abortSignal: signal }),
      );
      const { State } = containerReply.parse(reply);
      return State.Status === 'running' ? State.Pid : null;
    } catch (error) {
      if (isContainerError(error)) return null; // Gone, or the engine is: the task is made without.
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
        Labels[labels.holder] === 'network' &&
        !joined.has(Id) &&
        !this.#given.has(Id) &&
        Id !== this.#ready?.id
      )
        await removeHolder(this.#engine, Id);
    }
  }
}

/** The image of the program that does nothing, made where it is missing. */
export async function ensureHolderImage(engine: DockerEngine): Promise<string> {
  const present = await engine
    .call('looking for the holder image', REQUEST_SECONDS, (client) => client.getImage(IMAGE).inspect())
    .catch((error: unknown) => {
      if (isContainerError(error) && error.statusCode === 404) return null;
      throw error;
    });
  if (present) return IMAGE;
  const { Architecture: arch } = await engine.call('asking about the engine', REQUEST_SECONDS, (client) =>
    client.info(),
  );
  const program = holdProgram(arch === 'aarch64' || arch === 'arm64' ? 'arm64' : 'x64');
  const archive = pack();
  archive.entry({ name: 'hold', mode: 0o755 }, program);
  archive.finalize();
  const layer = await buffer(archive);
  const [repo, tag] = IMAGE.split(':');
  const progress = await engine.call('making the holder image', REQUEST_SECONDS, (client) =>
    client.importImage(Readable.from([layer]), { repo, tag, changes: ['ENTRYPOINT ["/hold"]'] }),
  );
  const said = await text(progress);
  if (said.includes('"error"')) throw new Error(`the holder image could not be made: ${said}`);
  return IMAGE;
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
