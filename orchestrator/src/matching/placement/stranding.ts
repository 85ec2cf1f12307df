import type { TaskClass } from './demand.ts';
import { milliPerGpu, wholeGpuMilli } from './task-shape.ts';

/** A resource that tasks need beside the GPU. */
export type Companion = 'cpuMilli' | 'memoryMib';

/** How many random futures an estimate is the mean of. 64 and 256 fill a cluster equally well. */
const futures = 64;

/**
 * How many tasks are offered to a node in one future: so many times what would fill it, plus as many. A node
 * sees more tasks than it takes, because each goes to the node that suits it best. 2 to 5 fill equally well.
 */
const offersPerFill = 2;

const gpuStepMilli = 100;
const maxGpuMilli = 32 * wholeGpuMilli;
/** Steps of the companion resource per mean need of one GPU, and where the grid ends, in such means. */
const stepsPerMean = 8;
const maxMeans = 64;

/**
 * How many thousandths of a node's free GPUs will stay unused for want of CPU (or of memory), given how much
 * of it is free and which tasks are to come: the mean over random futures, in each of which tasks arrive one
 * after the other, take their part while the companion resource lasts, and are passed over when it does not.
 *
 * It sees further than whether the next task fits: a node of 8 idle GPUs whose CPU would do for 6 average
 * tasks already strands some, and one with a single GPU left only needs to fit one task out of those to come.
 */
export class Stranding {
  readonly #offers: { gpuMilli: Float64Array; amount: Float64Array; length: number };
  readonly #meanGpuMilli: number;
  readonly #step: number;
  /** Means over the futures by free GPU (rows) and free companion resource (columns), computed when asked for. */
  readonly #grid: (Float64Array | undefined)[] = [];

  constructor(classes: readonly TaskClass[], companion: Companion) {
    const tasks = classes
      .filter((task) => task.gpuCount > 0)
      .map((task) => ({
        gpuMilli: milliPerGpu(task),
        amount: task[companion] / task.gpuCount,
        weight: task.popularity * task.gpuCount,
      }));
    const total = tasks.reduce((sum, { weight }) => sum + weight, 0) || 1;
    this.#meanGpuMilli = tasks.reduce((sum, { weight, gpuMilli }) => sum + weight * gpuMilli, 0) / total || 1;
    const meanAmount = tasks.reduce((sum, { weight, amount }) => sum + weight * amount, 0) / total;
    this.#step = Math.max(1, (meanAmount * wholeGpuMilli) / this.#meanGpuMilli / stepsPerMean);
    const length = Math.min(4_096, Math.ceil(this.#offersFor(maxGpuMilli)) + 1);
    const gpuMilli = new Float64Array(futures * length);
    const amount = new Float64Array(futures * length);
    if (tasks.length > 0) {
      const random = randomNumbers();
      let sum = 0;
      const sums = Float64Array.from(tasks, ({ weight }) => {
        sum += weight;
        return sum;
      });
      for (let i = 0; i < gpuMilli.length; i += 1) {
        const drawn = tasks[firstAbove(sums, random() * total)];
        gpuMilli[i] = drawn?.gpuMilli ?? 0;
        amount[i] = drawn?.amount ?? 0;
      }
    }
    this.#offers = { gpuMilli, amount, length: tasks.length > 0 ? length : 0 };
  }

  /** Between 0 and `gpuMilli`; linear between the points of a grid. */
  milli(amount: number, gpuMilli: number): number {
    if (this.#offers.length === 0 || gpuMilli <= 0) return 0;
    const x = Math.min(amount / this.#step, stepsPerMean * maxMeans - 1);
    const y = Math.min(gpuMilli, maxGpuMilli - gpuStepMilli) / gpuStepMilli;
    const column = Math.floor(x);
    const row = Math.floor(y);
    const right = x - column;
    const down = y - row;
    const upper = (1 - right) * this.#point(column, row) + right * this.#point(column + 1, row);
    if (down === 0) return upper;
    const lower = (1 - right) * this.#point(column, row + 1) + right * this.#point(column + 1, row + 1);
    return (1 - down) * upper + down * lower;
  }

  #point(column: number, row: number): number {
    let line = this.#grid[row];
    if (!line) {
      line = new Float64Array(stepsPerMean * maxMeans + 1).fill(-1);
      this.#grid[row] = line;
    }
    const known = line[column] ?? -1;
    if (known >= 0) return known;
    const value = this.#simulate(column * this.#step, row * gpuStepMilli);
    line[column] = value;
    return value;
  }

  #simulate(startAmount: number, startGpuMilli: number): number {
    const { gpuMilli, amount, length } = this.#offers;
    const offers = Math.min(length - 1, this.#offersFor(startGpuMilli));
    const whole = Math.floor(offers);
    let stranded = 0;
    for (let future = 0; future < futures; future += 1) {
      let amountLeft = startAmount;
      let gpuLeft = startGpuMilli;
      for (let offer = 0; offer <= whole && gpuLeft > 0; offer += 1) {
        const needs = amount[future * length + offer] ?? 0;
        if (needs > amountLeft) continue;
        const asks = gpuMilli[future * length + offer] ?? 0;
        // The last task may be larger than what is left; it then counts in proportion.
        const takes = Math.min(gpuLeft, asks);
        if (offer === whole) gpuLeft -= (offers - whole) * takes;
        else {
          gpuLeft -= takes;
          amountLeft -= (needs * takes) / asks;
        }
      }
      stranded += gpuLeft;
    }
    return stranded / futures;
  }

  #offersFor(gpuMilli: number): number {
    return offersPerFill * (gpuMilli / this.#meanGpuMilli + 1);
  }
}

/** The first place at which the running sums exceed `value`, by halving. */
function firstAbove(sums: Float64Array, value: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Always the same numbers between 0 and 1 (mulberry32): equal demand must give equal decisions. */
function randomNumbers(): () => number {
  let state = 0x5eed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
