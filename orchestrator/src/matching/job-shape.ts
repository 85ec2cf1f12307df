import { type CompiledNeeds, compileNeeds } from './filters.ts';
import type { GangOwners } from './gang-owners.ts';
import { fittingGpus, type GpuView, type JobNeeds, type MachineView } from './machine-view.ts';
import type { TaskShape } from './placement/task-shape.ts';
import { expectedRateMicros, rateStep } from './score.ts';

/** Between two that differ at all: above every cost of packing, so a better machine is never given up for that. */
const stepMilli = 1e5;

/** Machines that market rules cannot tell apart, by one of them as if it were idle. */
export interface LabelView {
  /** Never given out twice, unlike the label. */
  id: number;
  idle: MachineView;
}

/**
 * Jobs that need the same: what is found out about one holds for all of them, so a hundred thousand jobs of a
 * sweep cost as much as one.
 */
export class JobShape {
  readonly asked: CompiledNeeds;
  readonly #image: string;
  /** What `capacity grew` count of the fleet it last failed at: until that grows it fits nowhere. */
  failedAt = -1;
  /** By label: for which meaning of it the weight holds, and the weight; null for machines that will not do. */
  readonly #weighed: number[] = [];
  readonly #weights: (number | null)[] = [];
  #task: TaskShape | null = null;
  #kindsKnown = -1;

  /** @param key `jobShapeKey` of the rest */
  constructor(
    readonly key: string,
    needs: JobNeeds,
    image: string,
  ) {
    this.asked = compileNeeds(needs);
    this.#image = image;
  }

  get needs(): JobNeeds {
    return this.asked.needs;
  }

  /** What it takes, as placement sees it. Kinds are told only where the job does not take any card. */
  task(kinds: ReadonlyMap<string, GpuView>): TaskShape {
    if (this.#task && this.#kindsKnown === kinds.size) return this.#task;
    this.#kindsKnown = kinds.size;
    const accepted = [...kinds].filter(([, gpu]) => this.asked.cards.suits(gpu)).map(([kind]) => kind);
    // A kind that no card has stands for "none of those there are".
    const some = accepted.length > 0 ? accepted : ['none'];
    const { cpuMilli, memoryMib, gpus, gpuMilli } = this.needs;
    this.#task = {
      cpuMilli,
      memoryMib,
      gpuCount: gpus,
      gpuMilli,
      kinds: gpus === 0 || accepted.length === kinds.size ? [] : some,
    };
    return this.#task;
  }

  /**
   * What speaks against machines of a label, in the unit of placement: first what an hour of finished work
   * costs there, then how much more GPU memory they have than others that would do. Null when a rule excludes
   * them whatever is free.
   *
   * @param fetchBytes of a job's state to be fetched there: that is a matter of the job, and not remembered
   */
  weigh(label: number, view: LabelView | undefined, fetchBytes = 0): number | null {
    if (!view) return null;
    if (this.#weighed[label] !== view.id) {
      this.#weighed[label] = view.id;
      this.#weights[label] = this.#allows(view.idle) ? this.#steps(view.idle) * stepMilli : null;
    }
    const weight = this.#weights[label] ?? null;
    return weight === null || fetchBytes === 0 ? weight : this.#steps(view.idle, fetchBytes) * stepMilli;
  }

  #allows(idle: MachineView): boolean {
    return this.asked.failures(idle).every((filter) => filter.momentary);
  }

  /** First the step of the expected rate, then the memory of the smallest card that will do, GiB. */
  #steps(idle: MachineView, fetchBytes = 0): number {
    const step = rateStep(expectedRateMicros(this.needs, this.#image, idle, fetchBytes));
    if (this.needs.gpus === 0) return step * 4_096;
    const smallest = Math.min(...fittingGpus(idle, this.needs).map((gpu) => gpu.memoryMib));
    return step * 4_096 + Math.min(4_095, Math.ceil(smallest / 1_024));
  }
}

/** Of single jobs, by needs and image: the readers of the queue give equal needs as one object. */
const keysOfNeeds = new WeakMap<JobNeeds, Map<string, string>>();

/** Equal for jobs of one shape. A gang that finds no room says nothing about single jobs, or those of others. */
export function jobShapeKey(
  needs: JobNeeds,
  image: string,
  gang: (GangOwners & { size: number }) | null,
): string {
  if (gang) return newKey(needs, image, gang);
  const byImage = keysOfNeeds.get(needs) ?? new Map<string, string>();
  if (byImage.size === 0) keysOfNeeds.set(needs, byImage);
  const key = byImage.get(image) ?? newKey(needs, image, null);
  byImage.set(image, key);
  return key;
}

function newKey(needs: JobNeeds, image: string, gang: (GangOwners & { size: number }) | null): string {
  return JSON.stringify({ ...needs, image, gang }, (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
}
