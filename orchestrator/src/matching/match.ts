import type { GpuId, JobId, ProviderId } from '@computefabric/protocol/ids';
import { ratePerHourMicros } from '../pricing/price.ts';
import { failedFilters } from './filters.ts';
import { Fleet, type FleetMachine, kindOf } from './fleet.ts';
import { freeFittingGpus, type JobNeeds, type MachineView } from './machine-view.ts';
import { Demand } from './placement/demand.ts';
import { Placer } from './placement/placer.ts';

/** A job that waits. */
export interface QueuedJob {
  id: JobId;
  needs: JobNeeds;
  /** The machine of its last try, when that try failed for the machine's sake. */
  avoid: ProviderId | null;
}

/** A proposal: the grant checks it again under lock before it becomes true. */
export interface Placement {
  jobId: JobId;
  providerId: ProviderId;
  gpuIds: GpuId[];
  ratePerHourMicros: bigint;
}

/**
 * Places waiting jobs on machines, and learns from the jobs that arrive which ones to expect, so that what is
 * free stays usable for them. One for the life of a market's matcher.
 */
export class Matcher {
  readonly #demand = new Demand();
  #waiting: ReadonlySet<JobId> = new Set();

  match(queue: readonly QueuedJob[], machines: readonly MachineView[]): Placement[] {
    const fleet = new Fleet(machines.filter((machine) => machine.state === 'online'));
    for (const { id, needs } of queue) if (!this.#waiting.has(id)) this.#demand.observe(fleet.shapeOf(needs));
    this.#waiting = new Set(queue.map(({ id }) => id));
    return place(queue, fleet, new Placer(fleet.cluster, this.#demand));
  }
}

/** One pass without a history. */
export function match(queue: readonly QueuedJob[], machines: readonly MachineView[]): Placement[] {
  return new Matcher().match(queue, machines);
}

/**
 * Places jobs in their order. Takes what it gives from the fleet, so that two jobs of one pass are never placed
 * on the same GPU. A job that fits nowhere now is passed over.
 *
 * What decides between machines that all fit, most important first: not the machine that has just failed this
 * job; the cheaper one; the one that wastes less GPU memory; then the one on which the job strands the least
 * GPU capacity for the jobs that are expected (`placement/`).
 */
function place(queue: readonly QueuedJob[], fleet: Fleet, placer: Placer): Placement[] {
  const placements: Placement[] = [];
  for (const { id, needs, avoid } of queue) {
    const candidates = bestOffers(needs, fleet.machines, avoid);
    const [first] = candidates;
    if (!first) continue;
    const allowed = new Set(candidates.map(({ node }) => node));
    const shape = fleet.shapeOf(needs);
    const thrifty = { ...shape, kinds: thriftiestKinds(needs, candidates) ?? shape.kinds };
    const choice = placer.best(thrifty, (node) => (allowed.has(node) ? 0 : null));
    if (!choice) continue;
    const taken = fleet.take(choice.node, needs, choice.gpus);
    placements.push({
      jobId: id,
      providerId: taken.id,
      gpuIds: taken.gpuIds,
      ratePerHourMicros: ratePerHourMicros(needs, first),
    });
  }
  return placements;
}

/** The machines that could start a job now and of these the best by what comes before placement. */
function bestOffers(
  needs: JobNeeds,
  machines: readonly FleetMachine[],
  avoid: ProviderId | null,
): FleetMachine[] {
  const ranked = rank(needs, machines, avoid);
  const [first] = ranked;
  if (!first) return [];
  const rate = ratePerHourMicros(needs, first);
  return ranked.filter(
    (machine) =>
      (machine.id === avoid) === (first.id === avoid) && ratePerHourMicros(needs, machine) === rate,
  );
}

/**
 * The kinds of card with the least memory of which some machine has enough for the job: bigger ones stay free
 * for jobs that need them. Null when only a mixture of kinds will do.
 */
function thriftiestKinds(needs: JobNeeds, machines: readonly FleetMachine[]): string[] | null {
  if (needs.gpus === 0) return [];
  const enough = machines.flatMap((machine) => {
    const free = freeFittingGpus(machine, needs);
    return free.filter((gpu) => free.filter((other) => kindOf(other) === kindOf(gpu)).length >= needs.gpus);
  });
  const least = Math.min(...enough.map((gpu) => gpu.memoryMib));
  const kinds = new Set(enough.filter((gpu) => gpu.memoryMib === least).map(kindOf));
  return kinds.size > 0 ? [...kinds] : null;
}

/** The machines that could start a job now, best first: the order in which offers are shown. */
export function rank<M extends MachineView>(
  needs: JobNeeds,
  machines: readonly M[],
  avoid: ProviderId | null = null,
): M[] {
  return machines
    .filter((machine) => failedFilters(machine, needs).length === 0)
    .map((machine) => ({ machine, key: sortKey(machine, needs, avoid) }))
    .sort((a, b) => compareKeys(a.key, b.key))
    .map(({ machine }) => machine);
}

function sortKey(machine: MachineView, needs: JobNeeds, avoid: ProviderId | null): (bigint | string)[] {
  const fitting = freeFittingGpus(machine, needs);
  const smallest = fitting.reduce((least, gpu) => Math.min(least, gpu.memoryMib), Number.MAX_SAFE_INTEGER);
  return [
    machine.id === avoid ? 1n : 0n,
    ratePerHourMicros(needs, machine),
    needs.gpus > 0 ? BigInt(smallest) : 0n,
    machine.id,
  ];
}

function compareKeys(a: readonly (bigint | string)[], b: readonly (bigint | string)[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined || left === right) continue;
    return left < right ? -1 : 1;
  }
  return 0;
}
