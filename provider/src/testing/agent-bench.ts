import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import type { OwnerProfile } from '@computefabric/protocol/owner-state';
import { systemClock } from '@computefabric/runtime/clock';
import { invariant } from '@computefabric/runtime/invariant';
import { silentLogger } from '@computefabric/runtime/log';
import { Secret } from '@computefabric/runtime/secret';
import { Agent, type AgentEnd } from '../agent.ts';
import { KeptStates } from '../checkpoints/kept-states.ts';
import { FakeDriver, FakeEngine } from '../container/fake-driver.ts';
import type { FakeProgram } from '../container/fake-container.ts';
import { ControlPlaneClient } from '../control-plane/client.ts';
import { obtainCredential } from '../control-plane/credential.ts';
import { type AgentHome, agentHome, prepareHome } from '../home/agent-home.ts';
import { systemBootClock } from '../home/boot-clock.ts';
import { PulledImages } from '../images/pulled-images.ts';
import { obtainSigningKey } from '../home/signing-key.ts';
import { OwnerPolicy } from '../policy/owner-policy.ts';
import { known, type Readings } from '../policy/readings.ts';
import { FakeOrchestrator } from './fake-orchestrator.ts';
import { testInventory } from './test-inventory.ts';

interface BenchOptions {
  profile?: OwnerProfile;
  leaseTtlSeconds?: number;
  heartbeatSeconds?: number;
  inventory?: Partial<Inventory>;
  moveGraceSeconds?: number;
}

/** The image of every test job, and the one whose pull never ends. */
export const testImage = 'example/image:latest';
export const slowImage = 'example/slow:latest';
const agentId = 'agent-bench';

/** Nobody is at the machine, and nothing speaks against work. */
export const ownerAway: Readings = {
  idleSeconds: known(100_000),
  fullScreen: known(null),
  apps: known([]),
  otherGpuUse: known(null),
  onBattery: known(false),
  gpuCelsius: known(null),
  cpuCelsius: known(null),
  diskFreeMib: known(1_000_000),
};

/** A machine with an engine and a folder on it, a market, and an agent that can die and come back. */
export class AgentBench {
  readonly engine = new FakeEngine();
  readonly driver = new FakeDriver(this.engine, agentId);
  readonly market: FakeOrchestrator;
  readonly home: AgentHome;
  readonly #inventory: Inventory;
  readonly #moveGraceSeconds: number;
  /** What registries say that images have to fetch. */
  readonly imageSizes = new Map<string, number>();
  /** What is seen of the owner. */
  readings: Readings = ownerAway;
  #agent: Agent | undefined;
  #policy: OwnerPolicy | undefined;
  readonly #profile: OwnerProfile;

  private constructor(
    market: FakeOrchestrator,
    home: AgentHome,
    inventory: Inventory,
    moveGraceSeconds: number,
    profile: OwnerProfile,
  ) {
    this.#profile = profile;
    this.market = market;
    this.home = home;
    this.#inventory = inventory;
    this.#moveGraceSeconds = moveGraceSeconds;
    this.engine.images.set('example/image:latest', { sizeBytes: 1_000, program: null });
    this.engine.registry.set('example/slow:latest', { kind: 'silence' });
  }

  static async open(options: BenchOptions = {}): Promise<AgentBench> {
    const {
      leaseTtlSeconds = 5,
      heartbeatSeconds = 0.5,
      moveGraceSeconds = 600,
      profile = 'server',
    } = options;
    const market = await FakeOrchestrator.start({ leaseTtlSeconds, heartbeatSeconds });
    const home = agentHome(await mkdtemp(join(tmpdir(), 'cf-agent-')));
    await prepareHome(home);
    return new AgentBench(market, home, testInventory(options.inventory), moveGraceSeconds, profile);
  }

  /** The owner's rules of the agent that runs. */
  get policy(): OwnerPolicy {
    invariant(this.#policy, 'an agent was started');
    return this.#policy;
  }

  /** A command that jobs can name. */
  program(command: string, program: FakeProgram): void {
    this.engine.programs.set(command, program);
  }

  /** Starts an agent in the folder, as after a restart. Gives how it ends by itself. */
  async startAgent(): Promise<{ ended: Promise<AgentEnd> }> {
    const client = new ControlPlaneClient(this.market.url);
    const signer = await obtainSigningKey(this.home);
    const credential = await obtainCredential({
      path: this.home.credential,
      client,
      signer,
      joinToken: new Secret(this.market.joinToken),
      name: 'machine',
      log: silentLogger,
      signal: AbortSignal.timeout(10_000),
    });
    this.#policy = await OwnerPolicy.open({
      home: this.home.root,
      senses: { look: () => Promise.resolve(this.readings) },
      power: { apply: () => Promise.resolve() },
      defaults: { profile: this.#profile, timeZone: 'UTC' },
      clock: systemClock,
      log: silentLogger,
    });
    this.#agent = new Agent({
      policy: this.#policy,
      home: this.home,
      client,
      credential,
      signer,
      driver: this.driver,
      images: await PulledImages.open({
        path: this.home.images,
        rules: { budgetBytes: 2 ** 40, mostBytes: 2 ** 40, pins: [], prepull: true },
        driver: this.driver,
        log: silentLogger,
        betweenTries: { baseMs: 5, maxMs: 5 },
        askSize: (reference) => Promise.resolve(this.imageSizes.get(reference) ?? null),
      }),
      states: await KeptStates.open({ folder: this.home.states, budgetBytes: 2 ** 26, log: silentLogger }),
      inventory: () => Promise.resolve(this.#inventory),
      guarded: Promise.resolve(),
      moveGraceSeconds: this.#moveGraceSeconds,
      drainMs: 2_000,
      clock: systemClock,
      bootClock: systemBootClock,
      log: silentLogger,
    });
    return await this.#agent.start();
  }

  /** The agent's process is gone; containers go on. */
  async leaveAgent(): Promise<void> {
    await this.#agent?.leave();
    this.#agent = undefined;
  }

  async drainAgent(): Promise<void> {
    await this.#agent?.drain();
    this.#agent = undefined;
  }

  async close(): Promise<void> {
    await this.leaveAgent();
    await this.market.goAway();
    for (const container of this.engine.containers.values()) container.kill();
    await rm(this.home.root, { recursive: true, force: true });
  }
}
