import type { TaskClass } from './demand.ts';
import { milliPerGpu, wholeGpuMilli } from './task-shape.ts';

/** Free shares are told apart in steps of this many thousandths of a GPU. */
const levelMilli = 10;
const topLevel = wholeGpuMilli / levelMilli;

/**
 * How evenly near-equal ways of filling a GPU are used, in thousandths of a GPU. At 0 the prices below are
 * the exact dual of the cutting-stock problem, which leaves most decisions tied and jumps between solutions;
 * 5 to 10 fill a cluster equally well, 20 costs 0.05 points and 40 costs 0.13.
 */
const smoothingMilli = 8;

/** Steps of the fixed-point iteration: the first time, and afterwards, when it starts from the last prices. */
const coldSteps = 100;
const warmSteps = 20;

/** The level of a free share; what is over the level is not counted. */
export function levelOf(freeMilli: number): number {
  return Math.floor(freeMilli / levelMilli);
}

/**
 * How much of a GPU's free share will stay unused, by level, given the tasks to come and what is free now.
 *
 * A GPU of which 190 thousandths are free is worth nothing when hardly any task asks for so little; one with
 * 530 is worth as much as the 470-task that will come. Prices say it: each size of share gets a price such
 * that GPUs, filled the way that fetches most, take the sizes in the proportion in which they arrive. These
 * are the dual prices of the cutting-stock problem (Gilmore & Gomory 1961), here with an entropy term, found
 * as in Sinkhorn's iteration: raise the price of what is served too little, lower that of what is served too
 * much. The worth of a free share is what it fetches at these prices; the rest of it is stranded.
 */
export class ShareWorth {
  /** Thousandths of a GPU that stay unused of a free share, by level 0 to 100. A whole free GPU strands 0. */
  readonly strandedMilli = new Float64Array(topLevel + 1);
  /** Prices in thousandths of a GPU by size in levels; kept to start from. */
  readonly #prices = new Map<number, number>();

  /** @param gpusByLevel how many GPUs have that much free, by level 0 to 100 */
  solve(classes: readonly TaskClass[], gpusByLevel: ArrayLike<number>): void {
    const wanted = wantedBySize(classes);
    const sizes = [...wanted.keys()].sort((a, b) => b - a);
    const demand = sizes.map((size) => wanted.get(size) ?? 0);
    const steps = this.#prices.size > 0 ? warmSteps : coldSteps;
    const prices = Float64Array.from(sizes, (size) => this.#prices.get(size) ?? size * levelMilli);
    const supply = Array.from({ length: topLevel + 1 }, (_, level) => gpusByLevel[level] ?? 0);
    // An empty cluster, or a full one: price as for one idle GPU.
    if (supply.every((count, level) => count === 0 || level === 0)) supply[topLevel] = 1;
    for (let step = 0; step < steps; step += 1) {
      const served = servedBySize(sizes, prices, supply);
      const ratio = totalLevels(sizes, served) / totalLevels(sizes, demand);
      for (const [i, amount] of served.entries()) {
        const missing = Math.log((ratio * (demand[i] ?? 0) + 1e-9) / (amount + 1e-9));
        prices[i] = (prices[i] ?? 0) + 0.5 * smoothingMilli * Math.max(-3, Math.min(3, missing));
      }
      const whole = worthByLevel(sizes, prices)[topLevel] ?? wholeGpuMilli;
      for (let i = 0; i < prices.length; i += 1) prices[i] = ((prices[i] ?? 0) * wholeGpuMilli) / whole;
    }
    this.#prices.clear();
    for (const [i, size] of sizes.entries()) this.#prices.set(size, prices[i] ?? 0);
    for (const [level, worth] of worthByLevel(sizes, prices).entries()) {
      this.strandedMilli[level] = Math.max(0, level * levelMilli - worth);
    }
    this.strandedMilli[topLevel] = 0;
  }
}

/** GPUs asked for by size in levels. Always holds whole GPUs, so that there is something to price. */
function wantedBySize(classes: readonly TaskClass[]): Map<number, number> {
  const wanted = new Map([[topLevel, 1e-6]]);
  for (const task of classes) {
    if (task.gpuCount === 0) continue;
    const size = Math.max(1, Math.ceil(milliPerGpu(task) / levelMilli));
    wanted.set(size, (wanted.get(size) ?? 0) + task.popularity * task.gpuCount);
  }
  return wanted;
}

/**
 * The sum over all fillings of a share of exp(price / smoothing), by level. Its logarithm is the smoothed
 * best price that a share of that level fetches.
 */
function fillings(sizes: readonly number[], prices: Float64Array): Float64Array {
  const exact = new Float64Array(topLevel + 1);
  exact[0] = 1;
  for (const [i, size] of sizes.entries()) {
    const weight = Math.exp((prices[i] ?? 0) / smoothingMilli);
    for (let level = size; level <= topLevel; level += 1) {
      exact[level] = (exact[level] ?? 0) + (exact[level - size] ?? 0) * weight;
    }
  }
  let sum = 0;
  return exact.map((value) => {
    sum += value;
    return sum;
  });
}

function worthByLevel(sizes: readonly number[], prices: Float64Array): Float64Array {
  return fillings(sizes, prices).map((sum) => smoothingMilli * Math.log(sum));
}

/** How many tasks of each size the free shares take at these prices: the derivative of their worth. */
function servedBySize(sizes: readonly number[], prices: Float64Array, supply: readonly number[]): number[] {
  const sums = fillings(sizes, prices);
  return sizes.map((size, i) => {
    const weight = Math.exp((prices[i] ?? 0) / smoothingMilli);
    let served = 0;
    for (let level = size; level <= topLevel; level += 1) {
      const gpus = supply[level] ?? 0;
      if (gpus === 0) continue;
      // Fillings that hold at least one, at least two, ... of this size.
      let holding = 0;
      let factor = weight;
      for (let rest = level - size; rest >= 0; rest -= size) {
        holding += factor * (sums[rest] ?? 0);
        factor *= weight;
      }
      served += (gpus * holding) / (sums[level] ?? 1);
    }
    return served;
  });
}

function totalLevels(sizes: readonly number[], amounts: readonly number[]): number {
  return sizes.reduce((sum, size, i) => sum + size * (amounts[i] ?? 0), 0);
}
