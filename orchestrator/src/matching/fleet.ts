import type { GpuId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import type { LabelView } from './job-shape.ts';
import type { GpuView, MachineView, RunningLease } from './machine-view.ts';
import { Cluster, type NodeIndex } from './placement/cluster.ts';
import { type TaskShape, wholeGpuMilli } from './placement/task-shape.ts';

/** A machine of the fleet: its view, which changes as jobs are placed, and its node in the cluster. */
export interface FleetMachine extends MachineView {
  readonly node: NodeIndex;
  gpus: GpuView[];
  running: RunningLease[];
  /** When the view was taken, on this process's monotonic clock: times in it count from there. */
  readonly seenAtMs: number;
}

/** What an account has of the market at this moment. */
export interface Usage {
  gpuMilli: number;
  cpuMilli: number;
  memoryMib: number;
}

/**
 * The machines that take work, as the matcher sees them between two looks at the database, in two forms: views,
 * over which rules and prices are asked, and the cluster in which placement counts. Both change together.
 */
export class Fleet {
  readonly cluster = new Cluster();
  /** What machines of a label have in common; a label that no machine has any more is a hole. */
  readonly labels: (LabelView | undefined)[] = [];
  /** One card of each kind. */
  readonly kinds = new Map<string, GpuView>();
  readonly totals: Usage = { gpuMilli: 0, cpuMilli: 0, memoryMib: 0 };
  /** Grows whenever something became free or appeared: what did not fit before may fit now. */
  growths = 0;
  /** Running spot tries that may be asked to give way. */
  evictable = 0;
  readonly #machines = new Map<ProviderId, FleetMachine>();
  readonly #byNode: (FleetMachine | undefined)[] = [];
  readonly #labelOf = new Map<string, { label: number; machines: number }>();
  readonly #freeLabels: number[] = [];
  #labelsGiven = 0;
  readonly #usage = new Map<UserId, Usage>();
  /** Machines that are offered nothing until then. */
  readonly #restingUntilMs = new Map<ProviderId, number>();

  get size(): number {
    return this.#machines.size;
  }

  machines(): IterableIterator<FleetMachine> {
    return this.#machines.values();
  }

  find(id: ProviderId): FleetMachine | undefined {
    return this.#machines.get(id);
  }

  at(node: NodeIndex): FleetMachine {
    const machine = this.#byNode[node];
    invariant(machine, `node ${node} is a machine of the fleet`);
    return machine;
  }

  usageOf(userId: UserId): Usage {
    return this.#usage.get(userId) ?? { gpuMilli: 0, cpuMilli: 0, memoryMib: 0 };
  }

  /** The machine as it has just been read; one that takes no work leaves the fleet. */
  set(view: MachineView, nowMs: number): void {
    this.remove(view.id);
    if (view.restsInMs !== null) this.#restingUntilMs.set(view.id, nowMs + view.restsInMs);
    if (
      view.state !== 'online' ||
      view.availability !== 'open' ||
      !view.ownerAccepts ||
      view.restsInMs !== null
    ) {
      // What runs there is still its renters' share of the market.
      if (view.running.length > 0) this.#keepUsageOnly(view, nowMs);
      return;
    }
    const node = this.cluster.add({
      cpuMilli: Math.max(0, view.cpuMilliFree),
      memoryMib: Math.max(0, view.memoryMibFree),
      shares: view.sharesGpus,
      label: this.#label(view),
      gpus: view.gpus.map((gpu) => ({ kind: kindOf(gpu), freeMilli: clampMilli(gpu.freeMilli) })),
    });
    const machine: FleetMachine = {
      ...view,
      node,
      seenAtMs: nowMs,
      gpus: view.gpus.map((gpu) => ({ ...gpu })),
      running: [...view.running],
    };
    this.#machines.set(view.id, machine);
    this.#byNode[node] = machine;
    for (const gpu of view.gpus) if (!this.kinds.has(kindOf(gpu))) this.kinds.set(kindOf(gpu), gpu);
    this.#count(machine, 1);
    this.growths += 1;
  }

  remove(id: ProviderId): void {
    this.#restingUntilMs.delete(id);
    const machine = this.#machines.get(id);
    if (!machine) return;
    this.#machines.delete(id);
    this.#count(machine, -1);
    if (machine.node < 0) return;
    this.#byNode[machine.node] = undefined;
    this.#unlabel(machine);
    this.cluster.remove(machine.node);
  }

  /** The machines whose rest is over, once: they are to be read again, and then take work. */
  takeRested(nowMs: number): ProviderId[] {
    const rested = [...this.#restingUntilMs].filter(([, untilMs]) => untilMs <= nowMs).map(([id]) => id);
    for (const id of rested) this.#restingUntilMs.delete(id);
    return rested;
  }

  /** Milliseconds until the next rest is over; null when no machine rests. */
  nextRestEndMs(nowMs: number): number | null {
    if (this.#restingUntilMs.size === 0) return null;
    return Math.max(0, Math.min(...this.#restingUntilMs.values()) - nowMs);
  }

  /** Gives a job its place; the ids of its GPUs. */
  take(
    node: NodeIndex,
    task: TaskShape,
    gpus: readonly number[],
    lease: Omit<RunningLease, 'gpuIds'>,
  ): GpuId[] {
    const machine = this.at(node);
    this.cluster.take(node, task, gpus);
    const chosen = gpus.map((index) => machine.gpus[index]).filter((gpu) => gpu !== undefined);
    for (const gpu of chosen) gpu.freeMilli -= lease.gpuMilli;
    machine.cpuMilliFree -= lease.cpuMilli;
    machine.memoryMibFree -= lease.memoryMib;
    machine.diskMibFree -= lease.diskMib;
    const running = { ...lease, gpuIds: chosen.map((gpu) => gpu.id) };
    machine.running.push(running);
    this.#countLease(running, 1);
    return running.gpuIds as GpuId[];
  }

  /** Takes the last `take` on this node back. */
  undo(node: NodeIndex, task: TaskShape, gpus: readonly number[]): void {
    const machine = this.at(node);
    const lease = machine.running.pop();
    invariant(lease, 'there is a try to take back');
    this.cluster.release(node, task, gpus);
    for (const index of gpus) {
      const gpu = machine.gpus[index];
      if (gpu) gpu.freeMilli += lease.gpuMilli;
    }
    machine.cpuMilliFree += lease.cpuMilli;
    machine.memoryMibFree += lease.memoryMib;
    machine.diskMibFree += lease.diskMib;
    this.#countLease(lease, -1);
  }

  #keepUsageOnly(view: MachineView, nowMs: number): void {
    const machine = {
      ...view,
      node: -1,
      seenAtMs: nowMs,
      gpus: [],
      running: [...view.running],
      cpuMilli: 0,
      memoryMib: 0,
    };
    this.#machines.set(view.id, machine);
    this.#count(machine, 1);
  }

  #label(view: MachineView): number {
    const key = labelKey(view);
    const known = this.#labelOf.get(key);
    if (known) {
      known.machines += 1;
      return known.label;
    }
    const label = this.#freeLabels.pop() ?? this.labels.length;
    this.#labelsGiven += 1;
    this.labels[label] = { id: this.#labelsGiven, idle: idleView(view) };
    this.#labelOf.set(key, { label, machines: 1 });
    return label;
  }

  #unlabel(machine: FleetMachine): void {
    const key = labelKey(machine);
    const known = this.#labelOf.get(key);
    invariant(known, 'a machine of the fleet has a label');
    known.machines -= 1;
    if (known.machines > 0) return;
    this.#labelOf.delete(key);
    this.labels[known.label] = undefined;
    this.#freeLabels.push(known.label);
  }

  #count(machine: FleetMachine, sign: 1 | -1): void {
    this.totals.gpuMilli += sign * machine.gpus.length * wholeGpuMilli;
    this.totals.cpuMilli += sign * machine.cpuMilli;
    this.totals.memoryMib += sign * machine.memoryMib;
    for (const lease of machine.running) this.#countLease(lease, sign);
  }

  #countLease(lease: RunningLease, sign: 1 | -1): void {
    if (lease.spot && !lease.stopping) this.evictable += sign;
    let usage = this.#usage.get(lease.userId);
    if (!usage) {
      usage = { gpuMilli: 0, cpuMilli: 0, memoryMib: 0 };
      this.#usage.set(lease.userId, usage);
    }
    usage.gpuMilli += sign * lease.gpuIds.length * lease.gpuMilli;
    usage.cpuMilli += sign * lease.cpuMilli;
    usage.memoryMib += sign * lease.memoryMib;
    if (usage.gpuMilli === 0 && usage.cpuMilli === 0 && usage.memoryMib === 0)
      this.#usage.delete(lease.userId);
  }
}

/** Cards of one kind are interchangeable: the model, its memory and what it can compute. */
export function kindOf(
  gpu: Pick<GpuView, 'name' | 'memoryMib' | 'computeCapability' | 'driverVersion'>,
): string {
  return `${gpu.name}/${gpu.memoryMib}/${gpu.computeCapability ?? ''}/${gpu.driverVersion ?? ''}`;
}

/** A record moves a little with every try; machines are told apart by it only in such steps. */
const reliabilityStepMilli = 20;

/** The best record of a step: a label excludes a job only when it would exclude it from all of its machines. */
function roundedUp(reliabilityMilli: number): number {
  return Math.ceil(reliabilityMilli / reliabilityStepMilli) * reliabilityStepMilli;
}

/** Equal for machines that no rule and no price can tell apart while they are idle. */
function labelKey(view: MachineView): string {
  return [
    view.cpuMilli,
    view.memoryMib,
    view.gpus.map(kindOf).join('+'),
    view.pricePerGpuHourMicros,
    view.pricePerCpuHourMicros,
    view.spotPercent,
    view.sharesGpus,
    view.region,
    view.cudaVersion,
    view.networks.join('+'),
    view.tier,
    roundedUp(view.reliabilityMilli),
    view.cachedImages.join('+'),
  ].join('|');
}

function idleView(view: MachineView): MachineView {
  return {
    ...view,
    cpuMilliFree: view.cpuMilli,
    memoryMibFree: view.memoryMib,
    diskMibFree: Number.MAX_SAFE_INTEGER,
    awayInMs: null,
    reliabilityMilli: roundedUp(view.reliabilityMilli),
    gpus: view.gpus.map((gpu) => ({ ...gpu, freeMilli: wholeGpuMilli })),
    running: [],
  };
}

function clampMilli(milli: number): number {
  return Math.min(wholeGpuMilli, Math.max(0, milli));
}
