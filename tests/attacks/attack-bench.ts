import Docker from 'dockerode';
import { expect } from 'vitest';
import type { TaskExit, TaskSpec } from '../../provider/src/container/container-driver.ts';
import { DockerDriver, type DockerDriverOptions } from '../../provider/src/container/docker-driver.ts';
import { parseEngineAddress } from '../../provider/src/container/engine-address.ts';
import { testTaskSpec } from '../../provider/src/container/testing/task-spec.ts';

export const engineAddress = parseEngineAddress(process.env.DOCKER_HOST ?? null);
export const engineClient = new Docker(engineAddress);

/** A number that no other run has. */
export const runMark = `${process.pid}-${Date.now().toString(36)}`;

const mebibyte = 2 ** 20;

/** An agent's driver with a harmless job on it, which must not notice what the attackers do. */
export class AttackBench {
  readonly driver: DockerDriver;
  readonly #image: string;
  #neighbour: { id: string; ticks: () => number } | undefined;
  #lastLease = 0;

  constructor(agentId: string, image: string, options: Partial<DockerDriverOptions> = {}) {
    this.driver = new DockerDriver({ address: engineAddress, agentId, ...options });
    this.#image = image;
  }

  spec(change: Partial<TaskSpec> = {}): TaskSpec {
    this.#lastLease += 1;
    return testTaskSpec({
      leaseId: `lease_${this.#lastLease}`,
      image: this.#image,
      cpus: 0.5,
      memoryBytes: 64 * mebibyte,
      ...change,
    });
  }

  /** Starts the harmless job: it counts, ten times a second. */
  async startNeighbour(): Promise<void> {
    const id = await this.driver.createTask(
      this.spec({ command: 'i=0; while :; do i=$((i+1)); echo $i; usleep 100000; done' }),
    );
    const output = await this.driver.attachOutput(id);
    let seen = 0;
    void (async () => {
      for await (const { data } of output) seen += data.length;
    })().catch(() => undefined); // The bench is closing: nobody counts any more.
    await this.driver.startTask(id);
    this.#neighbour = { id, ticks: () => seen };
  }

  /** The neighbour runs and goes on counting, and the agent's engine answers. */
  async expectNeighbourFine(): Promise<void> {
    const { id, ticks } = this.#neighbour ?? { id: '', ticks: () => 0 };
    expect((await this.driver.inspectTask(id))?.state).toBe('running');
    const before = ticks();
    await expect.poll(ticks, { timeout: 20_000, interval: 100 }).toBeGreaterThan(before);
  }

  /** Runs an attack to its end. What it prints is kept up to a megabyte, and counted. */
  async attack(
    change: Partial<TaskSpec>,
  ): Promise<{ id: string; out: string; bytes: number; exit: TaskExit }> {
    const id = await this.driver.createTask(this.spec(change));
    const output = await this.driver.attachOutput(id);
    const waiting = this.driver.waitTask(id);
    await this.driver.startTask(id);
    let [out, bytes] = ['', 0];
    for await (const { data } of output) {
      bytes += data.length;
      if (out.length < mebibyte) out += data.toString('latin1');
    }
    return { id, out, bytes, exit: await waiting };
  }

  /** Removes the tasks of attackers. */
  async sweep(): Promise<void> {
    for (const { id, leaseId } of await this.driver.listOwned())
      if (id !== this.#neighbour?.id) await this.driver.removeLease(leaseId);
  }

  async close(): Promise<void> {
    this.#neighbour = undefined;
    await this.sweep();
    await this.driver.close();
  }
}
