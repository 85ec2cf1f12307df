import type { ProviderId, UserId } from '@computefabric/protocol/ids';
import {
  drainMachine,
  pauseMachine,
  planAbsence,
  resumeMachine,
} from '../../orchestrator/src/providers/availability.store.ts';
import type { Deps, Orchestrators } from './orchestrators.ts';
import type { Life } from './virtual-time.ts';
import type { World } from './world.ts';

/** A message is later than this only when it is lost, ms. */
const lateMs = 10_000;

/** The owner of a machine: pauses it, drains it, plans to need it, and opens it again, over the lossy network. */
export class SimOwner {
  readonly #world: World;
  readonly #market: Orchestrators;
  readonly #machine: { ownerId: UserId; providerId: ProviderId };
  readonly #life: Life;
  #storms = true;
  /** The machine is open, as far as the owner knows, and stays so. */
  isContent = false;

  constructor(
    world: World,
    market: Orchestrators,
    machine: { ownerId: UserId; providerId: ProviderId },
    name: string,
  ) {
    this.#world = world;
    this.#market = market;
    this.#machine = machine;
    this.#life = world.newLife(`owner of ${name}`);
  }

  /** Changes its mind every so many seconds, until told to be content; 0 is never. */
  begin(wishEverySeconds: number): void {
    const { random, time } = this.#world;
    if (wishEverySeconds === 0) {
      this.#storms = false;
      this.isContent = true;
      return;
    }
    this.#world.start(this.#life, 'wishes', async () => {
      while (this.#storms) {
        await time.sleep(random.between(0, wishEverySeconds * 2_000));
        if (this.#storms) await this.#wish();
      }
      // What a late copy of an earlier wish did is undone: its effect is asked for again until it stays.
      await time.sleep(lateMs);
      await this.#insist('resume', (deps) => resumeMachine(deps.db, this.#machine));
      await this.#insist('stay', (deps) => planAbsence(deps.db, this.#machine, null));
      this.isContent = true;
    });
  }

  /** Opens the machine for good. */
  settle(): void {
    this.#storms = false;
  }

  async #wish(): Promise<void> {
    const { random, time } = this.#world;
    const kind = random.pick(['pause', 'drain', 'resume', 'leave'] as const);
    const forSeconds = random.chance(0.5) ? random.between(1, 20) : null;
    const withinSeconds = random.between(0, 10);
    const fromMs = time.nowMs + random.between(0, 10_000);
    const untilMs = fromMs + random.between(1_000, 20_000);
    this.#world.say(`${this.#life.name} wants: ${kind}`);
    const machine = this.#machine;
    await this.#market.call(kind, async ({ db }) => {
      if (kind === 'pause') await pauseMachine(db, machine, { forSeconds, reason: 'a game' });
      else if (kind === 'drain') await drainMachine(db, machine, { withinSeconds, reason: 'a game' });
      else if (kind === 'resume') await resumeMachine(db, machine);
      else {
        const absence = { from: new Date(fromMs), until: new Date(untilMs), reason: 'a game' };
        await planAbsence(db, machine, absence);
      }
    });
  }

  async #insist(name: string, wish: (deps: Deps) => Promise<boolean>): Promise<void> {
    while (!(await this.#market.call(name, wish)).ok) await this.#world.time.sleep(1_000);
  }
}
