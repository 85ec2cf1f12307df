import { schema } from '@computefabric/db/client';
import { users } from '@computefabric/db/schema/users';
import { newId, type UserId } from '@computefabric/protocol/ids';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import { drizzle } from 'drizzle-orm/node-postgres';
import { auditLedger } from '../../orchestrator/src/ledger/audit.store.ts';
import { grantPlayMoney } from '../../orchestrator/src/ledger/grant-play-money.ts';
import { insertProvider } from '../../orchestrator/src/providers/provider.store.ts';
import { findUnfinished, type Violation } from './invariants.ts';
import { Orchestrators, stretchNaps } from './orchestrators.ts';
import type { Random } from './random.ts';
import { SimAgent } from './sim-agent.ts';
import type { SimDatabase } from './sim-database.ts';
import { SimOwner } from './sim-owner.ts';
import type { Snapshot } from './snapshot.ts';
import { SimRenter } from './sim-renter.ts';
import { storm } from './storm.ts';
import { textOf } from './world.ts';
import { calm, Found, type Weather, World } from './world.ts';

export interface SeedResult {
  seed: number;
  violation: Violation | null;
  steps: number;
  statements: number;
  jobs: number;
  tries: number;
  /** How often what happened: how tries ended, and what else of the market was used. */
  seen: Record<string, number>;
  trace: string[];
}

/** After the storm everything must end within this, on the world's clock. */
const restMs = 3_600_000;

/** Plays one seed on an emptied database: the storm, the calm after it, and the last look at the books. */
export async function runSeed(seed: number, sim: SimDatabase): Promise<SeedResult> {
  await sim.reset();
  const world = new World(seed, sim);
  const restore = world.time.install(() => world.random.next(), stretchNaps(world));
  let violation: Violation | null = null;
  try {
    await play(world, sim);
  } catch (thrown) {
    violation =
      thrown instanceof Found
        ? thrown.violation
        : { rule: 'the simulation itself works', detail: world.trace.readable(textOf(thrown)) };
  } finally {
    restore();
  }
  const { facts } = world;
  return {
    seed,
    violation,
    steps: world.steps,
    statements: world.statements,
    jobs: facts?.jobs.length ?? 0,
    tries: facts?.leases.length ?? 0,
    seen: facts ? whatWasSeen(facts) : {},
    trace: world.trace.lines,
  };
}

function whatWasSeen({ jobs, leases, groups, dependencies }: Snapshot): Record<string, number> {
  const seen: Record<string, number> = {
    array: groups.filter(({ kind }) => kind === 'array').length,
    gang: groups.filter(({ kind }) => kind === 'gang').length,
    after: dependencies.length,
    resumed: leases.filter(({ resumedFrom }) => resumedFrom !== null).length,
  };
  for (const { reason } of [...jobs.filter(({ attempts }) => attempts === 0), ...leases])
    if (reason !== null) seen[reason] = (seen[reason] ?? 0) + 1;
  return seen;
}

async function play(world: World, sim: SimDatabase): Promise<void> {
  const { random } = world;
  world.weather = drawWeather(random);
  world.say(`weather ${JSON.stringify(world.weather)}, terms ${JSON.stringify(world.terms)}`);
  const market = new Orchestrators(world, random.pick([1, 1, 1, 2, 2, 3]));
  const { renters, agents, owners } = await furnish(world, sim, market);
  await world.check();

  for (let place = 0; place < market.count; place += 1) market.startUp(place);
  for (const agent of agents) agent.startUp();
  const stormMs = random.chance(0.2) ? random.between(5_000, 45_000) : random.between(3_000, 15_000);
  for (const renter of renters) renter.begin(random.between(1, 4), stormMs / 2);
  for (const owner of owners) owner.begin(world.weather.wishEverySeconds);
  const weatherMaker = storm(world, market, agents, stormMs);
  await world.run(() => weatherMaker.over);

  world.say('the storm is over');
  world.weather = calm;
  await weatherMaker.mend();
  for (const agent of agents) agent.hurry();
  for (const owner of owners) owner.settle();
  const deadline = world.time.nowMs + restMs;
  await world.run(() => {
    if (world.time.nowMs > deadline) return true;
    if (!world.facts || renters.some(({ pending }) => pending > 0)) return false;
    if (!owners.every(({ isContent }) => isContent)) return false;
    return findUnfinished(world.facts).next().done === true;
  });
  await world.check();
  for (const detail of world.facts ? findUnfinished(world.facts) : [])
    world.report('every job comes to an end once faults stop', detail);
  for (const { rule, subject, detail } of await auditLedger(
    drizzle({ client: sim.monitor, schema, casing: 'snake_case' }),
  ))
    world.report('the audit finds nothing', `${rule} ${subject}: ${detail}`);
  await world.run(() => true);
}

/** Each kind of trouble is absent, mild or bad, by itself: many seeds are about one or two kinds only. */
function drawWeather(random: Random): Weather {
  const level = (mild: number, bad: number) => {
    const roll = random.next();
    return roll < 0.5 ? 0 : roll < 0.8 ? mild : bad;
  };
  return {
    driftMs: random.pick([0, 0, 10, 100, 2_000]),
    statementFirst: random.pick([0.2, 0.5, 0.9]),
    cutBefore: level(0.002, 0.02),
    cutAfter: level(0.002, 0.02),
    loseRequest: level(0.02, 0.2),
    loseReply: level(0.02, 0.2),
    repeatRequest: level(0.05, 0.3),
    slowMessage: level(0.02, 0.2),
    faultEverySeconds: random.pick([0, 30, 10, 5]),
    lie: level(0.05, 0.3),
    ghost: level(0.05, 0.4),
    wishEverySeconds: random.pick([0, 0, 20, 6]),
  };
}

async function furnish(world: World, sim: SimDatabase, market: Orchestrators) {
  const { random } = world;
  const db = drizzle({ client: sim.monitor, schema, casing: 'snake_case' });
  await sim.monitor.query(`set sim.now = '${new Date(world.time.nowMs).toISOString()}'`);
  const addUser = async (): Promise<UserId> => {
    const id = newId('user');
    await db.insert(users).values({ id, email: `${id}@test.invalid` });
    return id;
  };
  const renters: SimRenter[] = [];
  for (let index = 0; index < random.between(1, 2); index += 1) {
    const userId = await addUser();
    await db.transaction((tx) => grantPlayMoney(tx, userId, 1_000_000_000n));
    renters.push(new SimRenter(world, market, userId, `renter${index + 1}`));
  }
  const agents: SimAgent[] = [];
  const owners: SimOwner[] = [];
  const count = random.pick([1, 2, 2, 3]);
  for (let index = 0; index < count; index += 1) {
    const providerId = newId('provider');
    const ownerId = await addUser();
    const name = `machine${index + 1}`;
    await db.transaction((tx) =>
      insertProvider(tx, {
        id: providerId,
        ownerId,
        name,
        proof: { credentialHash: name },
        agentVersion: '1',
      }),
    );
    // The first one can do every job that a renter draws.
    agents.push(
      new SimAgent(world, market, { providerId, name, inventory: drawInventory(random, index === 0) }),
    );
    owners.push(new SimOwner(world, market, { ownerId, providerId }, name));
  }
  return { renters, agents, owners };
}

function drawInventory(random: Random, able: boolean): Inventory {
  const cards = able ? 2 : random.between(0, 2);
  return {
    hostname: 'sim',
    os: 'Debian 12',
    arch: 'x64',
    cpu_model: 'sim',
    cpus: able ? 4 : random.pick([1, 2, 4]),
    memory_mib: able ? 8_192 : random.pick([2_048, 8_192]),
    disk_free_mib: 100_000,
    docker_version: '28',
    gpus: Array.from({ length: cards }, (_, index) => ({
      uuid: `GPU-sim-${index}`,
      index,
      name: 'NVIDIA GeForce RTX 4090',
      memory_mib: 24_564,
      driver_version: null,
      compute_capability: null,
      simulated: true,
    })),
    price_per_gpu_hour_micros: String(random.pick([200_000, 360_000])),
    price_per_cpu_hour_micros: '36000',
    spot_percent: random.pick([50, 100]),
    shares_gpus: able || random.chance(0.5),
    move_grace_seconds: 600,
    region: '',
    cuda_version: null,
    networks: ['none', 'allowlist', 'internet'],
    network_note: '',
    disk_limited: true,
    disk_note: '',
    sandbox: 'containers',
    cached_images: [],
  };
}
