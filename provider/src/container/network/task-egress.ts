import { toError } from '@computefabric/runtime/errors';
import type { NetworkMode } from '@computefabric/protocol/network';
import type { NetworkOffer } from '../container-driver.ts';
import { DomainProxy, type Resolve, resolveName } from './domain-proxy.ts';
import { type HostNames, proxyPort } from './egress-rules.ts';
import { HostFirewall, removeChains, whyNoNetwork } from './host-firewall.ts';
import { reachedFrom } from './network-probe.ts';
import { addressesOf, type Container, rearm, type TaskLink, unplug, wire } from './task-links.ts';

/** Somebody may flush the machine's firewall, or it joins another network. */
const CHECK_EVERY_MS = 10_000;
const PROBE_EVERY_MS = 900_000;
/** An agent without any link for so long is not there any more: a living one keeps a network ready. */
const DEAD_AFTER_MS = 30_000;

export interface EgressOptions {
  /** The most that the owner lets a task have. */
  most: NetworkMode;
  /** Networks that the owner names beside the ones that no task reaches anyway. */
  denied: readonly string[];
  /** Servers that tasks ask for names; public ones. */
  resolvers: readonly string[];
  /** What a name means; the machine's own way by default. */
  resolve?: Resolve;
  /** For each task and direction. */
  megabitsPerSecond: number | null;
  onProblem: (problem: string) => void;
}

/**
 * Lets tasks out, and nowhere where they must not get. Nobody is let out while this process cannot, or while an
 * attempt from a task's place reached what it must not.
 */
export class TaskEgress {
  readonly options: EgressOptions;
  readonly #firewall: HostFirewall;
  readonly #engineIsLocal: boolean;
  /** By the container that holds the task's network. */
  readonly #proxies = new Map<string, DomainProxy>();
  /** Why this process cannot let anybody out. */
  #cannot: string | null = 'not looked at yet';
  /** What the last attempt from a task's place has reached that it must not. */
  #unsafe: string | null = null;
  #looked: Promise<void> | undefined;
  #probedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;

  constructor(agentId: string, engineIsLocal: boolean, options: EgressOptions) {
    this.options = options;
    this.#engineIsLocal = engineIsLocal;
    this.#firewall = new HostFirewall(agentId, options.denied);
  }

  /** What may be promised now. `prove` makes a first network, when none has been tried. */
  async offer(prove: () => Promise<void>): Promise<NetworkOffer> {
    if (this.options.most === 'none') return { modes: ['none'], note: 'the owner gives jobs no network' };
    await this.look();
    if (this.#cannot === null && this.#probedAt === Number.NEGATIVE_INFINITY) {
      await prove().catch((thrown: unknown) => this.#refuse(toError(thrown).message));
    }
    const note = this.problem;
    if (note !== null) return { modes: ['none'], note };
    return this.options.most === 'allowlist'
      ? { modes: ['none', 'allowlist'], note: 'the owner allows named servers only' }
      : { modes: ['none', 'allowlist', 'internet'], note: null };
  }

  /** Why nobody is let out; null when tasks may be. */
  get problem(): string | null {
    return this.options.most === 'none' ? 'the owner gives jobs no network' : (this.#cannot ?? this.#unsafe);
  }

  /** Looks once at what this process can do, puts the rules in place and watches over them from then on. */
  look(): Promise<void> {
    this.#looked ??= (async () => {
      if (this.options.most === 'none') return;
      this.#cannot = await whyNoNetwork(this.#engineIsLocal);
      if (this.#cannot !== null) return;
      await this.#check();
      const idle = await this.#firewall.idleAgents();
      this.#sweep = setTimeout(() => void this.#removeDead(idle), DEAD_AFTER_MS);
      this.#sweep.unref();
      this.#timer = setInterval(() => {
        this.#checking ??= this.#check().finally(() => {
          this.#checking = undefined;
        });
      }, CHECK_EVERY_MS);
      this.#timer.unref();
    })();
    return this.#looked;
  }

  /** A namespace with loopback alone gets a way out, its rules in force before. Now and then it is tried, too. */
  async letOut(container: Container): Promise<TaskLink> {
    await this.look();
    await this.#checking;
    // Somebody may have flushed the firewall since the last look.
    await this.#check();
    const due = performance.now() - this.#probedAt >= PROBE_EVERY_MS;
    const problem = this.#cannot ?? (due ? null : this.#unsafe);
    if (problem !== null || this.options.most === 'none') throw new Error(problem ?? 'tasks get no network');
    const link = await wire(this.#firewall, container, this.options);
    if (!due) return link;
    const reached = await reachedFrom(link);
    this.#probedAt = performance.now();
    this.#unsafe = null;
    if (reached.length === 0) return link;
    await unplug(link.interfaceName);
    this.#unsafe = `the rules do not hold: a job would have reached ${reached.join(', ')}`;
    this.options.onProblem(this.#unsafe);
    throw new Error(this.#unsafe);
  }

  /** Loopback is left. */
  async cutOff(link: TaskLink): Promise<void> {
    await unplug(link.interfaceName);
  }

  /** These servers are the only thing left to reach, through a proxy. Gives its address. */
  async toServersOnly(link: TaskLink, allow: readonly string[]): Promise<string> {
    await rearm(this.#firewall, link, 'proxy');
    await this.#openProxy(link.containerId, link.gateway, link.address, allow);
    return `http://${link.gateway}:${proxyPort}`;
  }

  /** The proxy of a task that another process of this agent let out. Being there already is fine. */
  async adoptProxy(holderId: string, container: Container, allow: readonly string[]): Promise<void> {
    if (this.#proxies.has(holderId)) return;
    const { gateway, address } = await addressesOf(container);
    await this.#openProxy(holderId, gateway, address, allow);
  }

  /** The task is gone. */
  release(holderId: string): void {
    this.#proxies.get(holderId)?.close();
    this.#proxies.delete(holderId);
  }

  async #openProxy(
    holderId: string,
    gateway: string,
    client: string,
    allow: readonly string[],
  ): Promise<void> {
    const { resolve = resolveName } = this.options;
    const alsoNever = () => this.#firewall.alsoNever();
    this.#proxies.set(holderId, await DomainProxy.open({ gateway, client, allow, alsoNever, resolve }));
  }

  /** Takes the machine's rules away. Only when no task of this agent is left. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#sweep);
    for (const holderId of this.#proxies.keys()) this.release(holderId);
    await this.#checking;
    if (this.#looked === undefined && (await whyNoNetwork(this.#engineIsLocal)) !== null) return;
    await this.#looked;
    await this.#firewall.remove();
  }

  async #check(): Promise<void> {
    try {
      // What was proven was proven with the firewall as it was.
      if (await this.#firewall.ensure()) this.#probedAt = Number.NEGATIVE_INFINITY;
      this.#cannot = null;
    } catch (thrown) {
      this.#refuse(`the firewall of this machine cannot be set: ${toError(thrown).message}`);
    }
  }

  /** Chains of agents that were killed, and their watchdogs too. */
  async #removeDead(idleBefore: readonly HostNames[]): Promise<void> {
    try {
      const idleNow = new Set((await this.#firewall.idleAgents()).map(({ input }) => input));
      for (const names of idleBefore) if (idleNow.has(names.input)) await removeChains(names);
    } catch (thrown) {
      // They do no harm where they are; the next start looks again.
      this.options.onProblem(
        `rules of agents that are gone could not be removed: ${toError(thrown).message}`,
      );
    }
  }

  #refuse(problem: string): void {
    if (this.#cannot !== problem) this.options.onProblem(problem);
    this.#cannot = problem;
  }
}
