import { compileNeeds, onlyWaits } from './filters.ts';
import type { JobNeeds, MachineView } from './machine-view.ts';

/** What occupies a part of a machine, and until when. */
interface Occupied {
  endsInMs: number;
  gpuIds: readonly string[];
  gpuMilli: number;
  cpuMilli: number;
  memoryMib: number;
}

/**
 * Milliseconds until a job that is only waiting for busy machines starts at the latest, when nothing comes before
 * it but the jobs that are ahead now and nothing ends early: everything that runs is taken to run until its time
 * limit. Null when no machine that fits is only busy, or when the queue ahead is too long to say.
 *
 * @param ahead jobs before it in the queue, the first one first
 */
export function expectedStartMs(
  needs: JobNeeds,
  machines: readonly MachineView[],
  ahead: readonly JobNeeds[],
): number | null {
  if (ahead.length > mostAhead) return null;
  const timelines = machines.map(
    (machine): Timeline => ({ machine, occupied: machine.running.map((lease) => ({ ...lease })) }),
  );
  for (const other of ahead) {
    const slot = earliest(timelines, other);
    // Counted from now, and so rather too long than too short: the machine is taken before it really is.
    if (slot) slot.timeline.occupied.push(occupying(slot, other));
  }
  return earliest(timelines, needs)?.startsInMs ?? null;
}

/** Jobs ahead that are still worth counting through; each asks every machine. */
export const mostAhead = 50;

interface Timeline {
  machine: MachineView;
  occupied: Occupied[];
}

interface Slot {
  timeline: Timeline;
  startsInMs: number;
  gpuIds: string[];
}

function earliest(timelines: readonly Timeline[], needs: JobNeeds): Slot | null {
  const asked = compileNeeds(needs);
  let best: Slot | null = null;
  for (const timeline of timelines) {
    const { machine, occupied } = timeline;
    if (asked.fails(machine) !== null && !onlyWaits(asked.failures(machine))) continue;
    const restMs = machine.restsInMs ?? 0;
    const moments = [restMs, ...occupied.map(({ endsInMs }) => Math.max(restMs, endsInMs))].toSorted(
      (a, b) => a - b,
    );
    for (const startsInMs of moments) {
      if (best !== null && startsInMs >= best.startsInMs) break;
      const gpuIds = roomAt(timeline, needs, startsInMs);
      if (gpuIds) {
        best = { timeline, startsInMs, gpuIds };
        break;
      }
    }
  }
  return best;
}

/** The GPUs that a job would get once everything that ends by then has ended; null when there is no room. */
function roomAt({ machine, occupied }: Timeline, needs: JobNeeds, atMs: number): string[] | null {
  const { cards } = compileNeeds(needs);
  const still = occupied.filter(({ endsInMs }) => endsInMs > atMs);
  const taken = (amount: (part: Occupied) => number) => still.reduce((sum, part) => sum + amount(part), 0);
  if (machine.cpuMilli - taken(({ cpuMilli }) => cpuMilli) < needs.cpuMilli) return null;
  if (machine.memoryMib - taken(({ memoryMib }) => memoryMib) < needs.memoryMib) return null;
  const free = machine.gpus.filter(
    (gpu) =>
      cards.suits(gpu) &&
      1_000 - taken((part) => (part.gpuIds.includes(gpu.id) ? part.gpuMilli : 0)) >= needs.gpuMilli,
  );
  return free.length < needs.gpus ? null : free.slice(0, needs.gpus).map(({ id }) => id);
}

function occupying({ startsInMs, gpuIds }: Slot, needs: JobNeeds): Occupied {
  return {
    endsInMs: startsInMs + needs.timeLimitSeconds * 1_000,
    gpuIds,
    gpuMilli: needs.gpuMilli,
    cpuMilli: needs.cpuMilli,
    memoryMib: needs.memoryMib,
  };
}
