import { AppError } from '@computefabric/runtime/errors';
import { createLogger } from '@computefabric/runtime/log';
import { startWorkers } from '../../orchestrator/src/start-workers.ts';
import type { Leadership } from '../../orchestrator/src/background/leadership.ts';
import { ToldOffers } from '../../orchestrator/src/sessions/poll-offers.ts';
import { parseConfig } from '../../orchestrator/src/config.ts';
import { SimElection } from './sim-leadership.ts';
import type { SimObjects } from './sim-objects.ts';
import { SimSignals } from './sim-signals.ts';
import { context, type Life } from './virtual-time.ts';
import { textOf, type World } from './world.ts';

export type Deps = Parameters<typeof startWorkers>[0] & {
  signals: SimSignals;
  leadership: Leadership;
  objects: SimObjects;
  /** As the routes have it: what this process has told machines of. */
  told: ToldOffers;
};

/** The market's own defaults, for whatever a run does not set. */
const defaults = parseConfig({ COMPUTEFABRIC_HOME: '/' }).leases;

/** What a call came to, as its caller sees it. */
export type Reply<T> = { ok: true; value: T } | { ok: false; code: string };

/** No answer in time. The caller cannot know whether the call had its effect. */
export const noAnswer = 'network/no-answer';

/** Longest that a caller waits beyond what the call itself may take, ms. */
const patienceMs = 10_000;

/** The task that an orchestrator's workers run in. */
const workersTask = 'workers';
/** Each worker's own nap is a whole number of these, ms; waits for something that is due seldom are. */
const napUnitMs = 1_000;
/** No nap of a worker is shorter, ms. */
const shortestNapMs = 1_000;

/** When the storm is over no nap is shorter, ms: what is to be done is signalled, and idle sweeps cost the most. */
const calmNapMs = 60_000;

/**
 * For the run's clock: makes the naps of workers longer, the more so when the storm is over. What they wait for they
 * wait for as long as ever.
 */
export function stretchNaps(world: World): (task: string, ms: number) => number {
  return (task, ms) => {
    const isNap = ms >= shortestNapMs && ms % napUnitMs === 0 && task.includes(`/${workersTask}.`);
    if (!isNap) return ms;
    return Math.max(ms * world.terms.napFactor, world.isCalm ? calmNapMs : 0);
  };
}

interface Orchestrator {
  name: string;
  life: Life;
  deps: Deps;
}

/** The orchestrators of a run, and the network between them and everybody else. */
export class Orchestrators {
  readonly #world: World;
  readonly #running: (Orchestrator | null)[];
  readonly #election: SimElection;
  #lives = 0;

  constructor(world: World, count: number) {
    this.#world = world;
    this.#election = new SimElection(world);
    this.#running = Array.from({ length: count }, () => null);
    world.onSignal = (channel, payload) => {
      for (const one of this.#running) {
        if (!one) continue;
        world.time.after(world.random.between(1, 5), one.life, () =>
          context.run({ life: one.life, task: `${one.name}/signals` }, () =>
            one.deps.signals.hear(channel, payload),
          ),
        );
      }
    };
  }

  get count(): number {
    return this.#running.length;
  }

  /** Composes the orchestrator of this place anew, unless it runs. */
  startUp(place: number): void {
    if (this.#running[place]) return;
    const world = this.#world;
    this.#lives += 1;
    const name = `orchestrator${place + 1}.${this.#lives}`;
    const life = world.newLife(name);
    const { leaseTtlSeconds, offerSeconds } = world.terms;
    const deps: Deps = {
      db: world.database.dbFor(life, () => world.databaseUp),
      log: createLogger('simulation', 'error', {
        write: (line) => {
          const what = line.replace(/"time":"[^"]*",?/, '');
          world.say(`  ${name} logs ${shortLog(what)}`);
          if (what.includes('InvariantError'))
            world.report('no program breaks its own invariants', what.slice(0, 800));
        },
      }),
      settings: { ...defaults, leaseTtlSeconds, offerSeconds, maxAttempts: 12, platformFeeBps: 1_000 },
      onStaleCall: () => {},
      defaultMaxPricePerHourMicros: 1_000_000n,
      signals: new SimSignals(),
      objects: world.objects,
      told: new ToldOffers(),
      leadership: this.#election.stand(life),
    };
    this.#running[place] = { name, life, deps };
    world.say(`${name} starts`);
    world.start(life, workersTask, async () => {
      for (;;) {
        try {
          await startWorkers(deps);
          return;
        } catch (thrown) {
          // As the service manager would: the database may be away.
          world.say(`  ${name} did not start: ${textOf(thrown).slice(0, 100)}`);
          await world.time.sleep(2_000);
        }
      }
    });
  }

  /** The process is gone, with all that it had under way. */
  async kill(place: number): Promise<void> {
    const one = this.#running[place];
    if (!one) return;
    this.#world.say(`${one.name} is killed`);
    this.#running[place] = null;
    await this.#world.kill(one.life);
    this.#election.lose(one.life);
  }

  /** The connection that holds the leadership breaks. */
  unseat(place: number): void {
    const life = this.lifeAt(place);
    if (life) this.#election.lose(life);
  }

  lifeAt(place: number): Life | null {
    return this.#running[place]?.life ?? null;
  }

  /** The connection that listens breaks, and comes back after `ms`. */
  deafen(place: number, ms: number): void {
    const one = this.#running[place];
    if (!one) return;
    this.#world.say(`${one.name} hears no signals`);
    one.deps.signals.deaf = true;
    this.#world.time.after(ms, one.life, () => this.#reconnect(one));
  }

  hearAgain(place: number): void {
    const one = this.#running[place];
    if (one) this.#world.time.after(0, one.life, () => this.#reconnect(one));
  }

  #reconnect({ name, life, deps }: Orchestrator): void {
    context.run({ life, task: `${name}/signals` }, () => deps.signals.reconnect());
  }

  /**
   * Sends a call to some orchestrator, as the life whose code is running. Requests and replies may be late,
   * lost, or arrive twice; the caller learns at most that nobody answered.
   *
   * @param mayTakeMs how long the call itself may rightly take
   */
  call<T>(name: string, serve: (deps: Deps) => Promise<T>, mayTakeMs = 0): Promise<Reply<T>> {
    const world = this.#world;
    const caller = context.getStore();
    if (!caller) throw new Error(`${name} was called by nobody`);
    const { life, task } = caller;
    return new Promise((resolve) => {
      let answered = false;
      const answer = (reply: Reply<T>) => {
        if (answered) return;
        answered = true;
        giveUp();
        context.run(caller, () => resolve(reply));
      };
      const giveUp = world.time.after(patienceMs + mayTakeMs, life, () => {
        world.say(`${task} ${name}: no answer`);
        answer({ ok: false, code: noAnswer });
      });
      const copies = world.random.chance(world.weather.repeatRequest) ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) {
        if (world.random.chance(world.weather.loseRequest)) continue;
        world.time.after(this.#delayMs(), null, () =>
          this.#serve(name, serve, task, (reply) => {
            if (world.random.chance(world.weather.loseReply)) return;
            world.time.after(this.#delayMs(), life, () => answer(reply));
          }),
        );
      }
    });
  }

  #serve<T>(
    name: string,
    serve: (deps: Deps) => Promise<T>,
    from: string,
    reply: (reply: Reply<T>) => void,
  ): void {
    const world = this.#world;
    const up = this.#running.filter((one) => one !== null);
    if (up.length === 0) {
      reply({ ok: false, code: noAnswer });
      return;
    }
    const { life, deps } = world.random.pick(up);
    world.start(life, `${name}(${from})`, async () => {
      try {
        const value = await serve(deps);
        if (life.state !== 'dead') reply({ ok: true, value });
      } catch (thrown) {
        if (life.state === 'dead') return;
        const code = thrown instanceof AppError ? thrown.code : 'server/internal';
        if (!(thrown instanceof AppError)) world.heard(life, thrown);
        world.say(`${from} ${name}: ${code}`);
        reply({ ok: false, code });
      }
    });
  }

  #delayMs(): number {
    const { random, weather } = this.#world;
    return random.chance(weather.slowMessage) ? random.between(100, 8_000) : random.between(1, 20);
  }
}

function shortLog(line: string): string {
  const message = /"message":"([^"]*)"/.exec(line)?.[1] ?? '';
  const error = /"err":\{"type":"[^"]*","message":"([^"]{0,160})/.exec(line)?.[1] ?? '';
  return `${message} ${error}`.trim();
}
