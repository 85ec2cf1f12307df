import type { GpuId, ProviderId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { fittingGpus, type GpuView, type JobNeeds, type MachineView } from './machine-view.ts';
import { Cluster, type NodeIndex } from './placement/cluster.ts';
import type { TaskShape } from './placement/task-shape.ts';

/** A machine of a fleet: its view, which changes as jobs are placed, and its node in the cluster. */
export interface FleetMachine extends MachineView {
  readonly node: NodeIndex;
  gpus: GpuView[];
}

/**
 * The market's machines during one pass of the matcher, in the two forms that it needs: views, over which
 * rules and prices are asked, and the cluster in which placement counts. Both change together.
 */
export class Fleet {
  readonly cluster = new Cluster();
  readonly machines: FleetMachine[];
  readonly #byNode = new Map<NodeIndex, FleetMachine>();

  /** Takes copies: the given views stay as they are. */
  constructor(machines: readonly MachineView[]) {
    this.machines = machines.map((machine) => {
      const node = this.cluster.add({
        cpuMilli: machine.cpuMilliFree,
        memoryMib: machine.memoryMibFree,
        shares: machine.sharesGpus,
        gpus: machine.gpus.map((gpu) => ({ kind: kindOf(gpu), freeMilli: gpu.freeMilli })),
      });
      const copy = { ...machine, node, gpus: machine.gpus.map((gpu) => ({ ...gpu })) };
      this.#byNode.set(node, copy);
      return copy;
    });
  }

  /** What a job takes, as placement sees it. Kinds are told only where the job does not take any card. */
  shapeOf(needs: JobNeeds): TaskShape {
    const accepted = new Set(this.machines.flatMap((machine) => fittingGpus(machine, needs).map(kindOf)));
    const takesAny = accepted.size === this.cluster.kindNames.length;
    return {
      cpuMilli: needs.cpuMilli,
      memoryMib: needs.memoryMib,
      gpuCount: needs.gpus,
      gpuMilli: needs.gpuMilli,
      kinds: needs.gpus === 0 || takesAny ? [] : [...accepted],
    };
  }

  /** Gives a job its place in both forms; gives the machine and the ids of its GPUs. */
  take(node: NodeIndex, needs: JobNeeds, gpus: readonly number[]): { id: ProviderId; gpuIds: GpuId[] } {
    const machine = this.#byNode.get(node);
    invariant(machine, `node ${node} is a machine of the fleet`);
    this.cluster.take(node, this.shapeOf(needs), gpus);
    machine.cpuMilliFree -= needs.cpuMilli;
    machine.memoryMibFree -= needs.memoryMib;
    const chosen = gpus.map((index) => machine.gpus[index]).filter((gpu) => gpu !== undefined);
    for (const gpu of chosen) gpu.freeMilli -= needs.gpuMilli;
    return { id: machine.id, gpuIds: chosen.map((gpu) => gpu.id) };
  }
}

/** Cards of one kind are interchangeable: the model and its memory. */
export function kindOf(gpu: Pick<GpuView, 'name' | 'memoryMib'>): string {
  return `${gpu.name}/${gpu.memoryMib}`;
}
