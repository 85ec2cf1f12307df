import { milliPerGpu, shapeKey, type TaskShape } from './task-shape.ts';

/** Tasks of one shape among the tasks to come. */
export interface TaskClass extends TaskShape {
  /** The share of all arrivals that are of this class; all classes together make 1. */
  popularity: number;
}

interface Counted {
  shape: TaskShape;
  weight: number;
  memoryMibSum: number;
}

/** Classes that are kept: beyond the most popular ones a class moves no decision, and the list must end. */
const maxClasses = 256;

/** After this many arrivals, what was seen counts half: a market's customers change over days, not minutes. */
const halfLifeArrivals = 20_000;

/**
 * What tasks are expected: the classes that have been asked for, with their popularity. Classes are told
 * apart by everything but memory, which is averaged, as it seldom decides and takes many values.
 *
 * Either fed as tasks arrive, which is all that a market can know, or filled once from a known workload.
 */
export class Demand {
  /** Arrivals seen so far. */
  arrivals = 0;
  readonly #classes = new Map<string, Counted>();
  readonly #keys = new WeakMap<TaskShape, string>();
  // The weight of the next arrival. It grows, which is the same as all older weights shrinking.
  #weight = 1;

  static of(tasks: Iterable<TaskShape>): Demand {
    const demand = new Demand();
    for (const task of tasks) demand.#count(task, 1);
    return demand;
  }

  /** Counts a task that has arrived, whether or not a place is found for it. */
  observe(task: TaskShape): void {
    this.#weight *= 2 ** (1 / halfLifeArrivals);
    this.#count(task, this.#weight);
    if (this.#weight > 2 ** 20) this.#rescale();
  }

  /** The classes expected, most popular first. */
  classes(): TaskClass[] {
    const kept = this.#ranked().slice(0, maxClasses);
    const total = kept.reduce((sum, { weight }) => sum + weight, 0);
    return kept.map(({ shape, weight, memoryMibSum }) => ({
      ...shape,
      memoryMib: Math.round(memoryMibSum / weight),
      popularity: weight / total,
    }));
  }

  #count(task: TaskShape, weight: number): void {
    this.arrivals += 1;
    const key = this.#keys.get(task) ?? shapeKey({ ...task, memoryMib: 0 });
    this.#keys.set(task, key);
    const known = this.#classes.get(key);
    if (known) {
      known.weight += weight;
      known.memoryMibSum += weight * task.memoryMib;
      return;
    }
    if (this.#classes.size >= 4 * maxClasses) this.#forgetRare();
    const shape = { ...task, gpuMilli: milliPerGpu(task) };
    this.#classes.set(key, { shape, weight, memoryMibSum: weight * task.memoryMib });
  }

  #ranked(): Counted[] {
    return [...this.#classes.values()].sort((a, b) => b.weight - a.weight);
  }

  #forgetRare(): void {
    const least = this.#ranked()[2 * maxClasses]?.weight ?? 0;
    for (const [key, { weight }] of this.#classes) if (weight <= least) this.#classes.delete(key);
  }

  #rescale(): void {
    for (const counted of this.#classes.values()) {
      counted.weight /= this.#weight;
      counted.memoryMibSum /= this.#weight;
    }
    this.#weight = 1;
  }
}
