import type { Orchestrators } from './orchestrators.ts';
import type { SimAgent } from './sim-agent.ts';
import type { World } from './world.ts';

/** Longer than any silence that a job of a run allows. */
const waitedForMs = 180_000;

/** Faults that a run does to its processes, until the storm is over. */
export interface Storm {
  readonly over: boolean;
  /** Everybody is up, awake and connected again. */
  mend(): Promise<void>;
}

/**
 * Kills, freezes and cuts off processes at random moments, each for a while. A fault is a function that is
 * added to the list below; the more often it is listed, the more often it happens.
 */
export function storm(
  world: World,
  market: Orchestrators,
  agents: readonly SimAgent[],
  lengthMs: number,
): Storm {
  const { random, time } = world;
  const life = world.newLife('storm');
  const place = () => random.between(0, market.count - 1);
  const whileMs = () => (random.chance(0.5) ? random.between(100, 5_000) : random.between(5_000, 60_000));
  const freeze = (target: { life: () => ReturnType<Orchestrators['lifeAt']> }) => {
    const frozen = target.life();
    if (frozen?.state !== 'running') return;
    world.say(`${frozen.name} freezes`);
    time.freeze(frozen);
    const ms = whileMs();
    // The server ends a session that does nothing in a transaction for 30 s; the holder learns it when it wakes.
    if (ms > 30_000) time.after(30_000, null, () => world.needs.push(() => world.breakConnections(frozen)));
    time.after(ms, null, () => {
      world.say(`${frozen.name} thaws`);
      time.thaw(frozen);
    });
  };

  const sold = new Set<SimAgent>();
  const faults: (() => Promise<void>)[] = [
    async () => {
      const at = place();
      await market.kill(at);
      time.after(whileMs(), life, () => market.startUp(at));
    },
    async () => {
      const at = place();
      freeze({ life: () => market.lifeAt(at) });
    },
    async () => market.deafen(place(), whileMs()),
    async () => {
      const where = place();
      const at = market.lifeAt(where);
      if (!at) return;
      world.say(`${at.name} loses its connections`);
      market.unseat(where);
      await world.breakConnections(at);
    },
    async () => {
      world.say('the database restarts');
      await world.stopDatabase();
      for (let at = 0; at < market.count; at += 1) market.unseat(at);
      time.after(random.between(50, 10_000), life, () => {
        world.say('the database is back');
        world.databaseUp = true;
      });
    },
    async () => {
      const agent = random.pick(agents);
      await agent.kill();
      const forget = random.chance(0.3);
      time.after(whileMs(), life, () => {
        if (!sold.has(agent)) agent.startUp(forget);
      });
    },
    async () => {
      const agent = random.pick(agents);
      await agent.kill();
      time.after(random.between(10, 500), life, () => {
        if (!sold.has(agent)) agent.startUp();
      });
    },
    async () => {
      const agent = random.pick(agents);
      freeze({ life: () => agent.life });
    },
    async () => {
      // An agent that is updated: it says goodbye, and another process says hello.
      const agent = random.pick(agents);
      agent.sayGoodbye();
      time.after(random.between(500, 15_000), life, () =>
        world.needs.push(async () => {
          await agent.kill();
          if (!sold.has(agent)) agent.startUp();
        }),
      );
    },
    async () => {
      // A machine that never comes back; the first one, which can do every job, stays.
      const agent = random.pick(agents);
      if (agent === agents[0] || agent.life === null) return;
      world.say(`${agent.name} is sold`);
      sold.add(agent);
      await agent.kill();
    },
  ];

  const state = { over: false };
  time.after(lengthMs, null, () => {
    state.over = true;
  });
  const { faultEverySeconds } = world.weather;
  if (faultEverySeconds > 0) {
    world.start(life, 'faults', async () => {
      for (;;) {
        await time.sleep(random.between(0, faultEverySeconds * 2_000));
        world.needs.push(random.pick(faults));
      }
    });
  }

  return {
    get over() {
      return state.over;
    },
    async mend() {
      await world.kill(life);
      world.needs.length = 0;
      // Some machines are gone for good, whatever they had: only the end of their leases frees it.
      for (const agent of agents.slice(1)) {
        if (agent.life === null || !random.chance(0.6)) continue;
        world.say(`${agent.name} is sold`);
        sold.add(agent);
        await agent.kill();
      }
      world.databaseUp = true;
      for (let at = 0; at < market.count; at += 1) {
        const one = market.lifeAt(at);
        if (one) time.thaw(one);
        market.hearAgain(at);
        market.startUp(at);
      }
      for (const agent of agents) {
        if (agent.isLeaving) await agent.kill();
        if (agent.life) time.thaw(agent.life);
        if (!sold.has(agent)) agent.startUp();
      }
      // A renter may ask to wait for the machine and nothing else, for up to a day: those do come back.
      time.after(waitedForMs, null, () => {
        for (const agent of sold) {
          const waited = world.facts?.leases.some(
            ({ provider, state }) => provider === agent.providerId && state === 'silent',
          );
          if (waited) agent.startUp();
        }
      });
    },
  };
}
