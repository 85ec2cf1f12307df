import type { Leadership } from '../../orchestrator/src/background/leadership.ts';
import { context, type Life } from './virtual-time.ts';
import type { World } from './world.ts';

/** How soon a candidate notices that the place is free, ms. */
const takeOverMs = { min: 50, max: 1_000 };

/** One leader among the orchestrators of a run, as the lock in the database gives it: who holds it, leads. */
export class SimElection {
  readonly #world: World;
  #holder: Candidate | null = null;
  readonly #candidates = new Set<Candidate>();

  constructor(world: World) {
    this.#world = world;
  }

  stand(life: Life): Leadership {
    const candidate = new Candidate(life, () => this.#leave(candidate));
    this.#candidates.add(candidate);
    if (this.#holder === null && this.#candidates.size === 1) this.#give(candidate);
    else this.#elect();
    return candidate;
  }

  /** The life has ended, or its connection: the lock is free. It may believe to hold it for a moment more. */
  lose(life: Life): void {
    for (const candidate of this.#candidates) {
      if (candidate.life !== life) continue;
      if (life.state === 'dead') this.#candidates.delete(candidate);
      if (this.#holder !== candidate) continue;
      this.#holder = null;
      const { random, time } = this.#world;
      time.after(random.between(0, 2_000), life, () => {
        if (this.#holder !== candidate) candidate.set(false);
      });
      this.#elect();
    }
  }

  #leave(candidate: Candidate): void {
    this.#candidates.delete(candidate);
    if (this.#holder === candidate) this.#holder = null;
    this.#elect();
  }

  #elect(): void {
    const { random, time } = this.#world;
    time.after(random.between(takeOverMs.min, takeOverMs.max), null, () => {
      const standing = [...this.#candidates].filter(({ life }) => life.state === 'running');
      if (this.#holder !== null) return;
      // A frozen process holds no new lock; look again until somebody can.
      if (standing.length === 0 || !this.#world.databaseUp) {
        if (this.#candidates.size > 0) this.#elect();
        return;
      }
      this.#give(random.pick(standing));
    });
  }

  #give(candidate: Candidate): void {
    this.#holder = candidate;
    this.#world.say(`${candidate.life.name} leads`);
    candidate.set(true);
  }
}

class Candidate implements Leadership {
  readonly life: Life;
  readonly #leave: () => void;
  readonly #handlers = new Set<() => void>();
  #leads = false;

  constructor(life: Life, leave: () => void) {
    this.life = life;
    this.#leave = leave;
  }

  isLeader(): boolean {
    return this.#leads;
  }

  onChange(handler: () => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  async close(): Promise<void> {
    this.#leave();
  }

  set(leads: boolean): void {
    if (this.#leads === leads) return;
    this.#leads = leads;
    context.run({ life: this.life, task: `${this.life.name}/leadership` }, () => {
      for (const handler of this.#handlers) handler();
    });
  }
}
