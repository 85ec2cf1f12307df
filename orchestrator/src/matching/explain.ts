import { formatUsd } from '@computefabric/protocol/money';
import type { Waiting } from '@computefabric/protocol/user-api/quotes';
import { unitPriceMicros } from '../pricing/price.ts';
import { failedFilters, filters, offeredGigabytes } from './filters.ts';
import type { JobNeeds, MachineView } from './machine-view.ts';

/**
 * Why a job waits: for each rule how many machines it excludes, and the smallest single change that would
 * let the job start. Uses the very filters that the matcher uses, so it cannot tell another story.
 *
 * @param position place in the queue, from 1
 * @param backoff set while the job rests after a spoiled try
 */
export function explain(
  needs: JobNeeds,
  machines: readonly MachineView[],
  position: number,
  backoff: Backoff | null = null,
): Waiting {
  const failures = machines.map((machine) => failedFilters(machine, needs));
  const rows = filters
    .map((filter) => ({
      filter: filter.name,
      excluded: failures.filter((failed) => failed.includes(filter)).length,
      sole: failures.filter((failed) => failed.length === 1 && failed[0] === filter).length,
      sentence: filter.sentence(needs),
    }))
    .filter((row) => row.excluded > 0)
    .map((row) => ({ ...row, sentence: `${machineCount(row.excluded)}: ${row.sentence}` }));
  const fits = failures.some((failed) => failed.length === 0);
  const onlyBusy = rows.some((row) => row.filter === 'busy' && row.sole > 0);
  return {
    position,
    machines: machines.length,
    summary: fits && backoff ? tellBackoff(backoff) : summarize(machines, fits, onlyBusy),
    filters: rows,
    suggestion: fits ? null : suggest(needs, machines),
  };
}

/** Why a job that a machine could take is not offered at the moment. */
export interface Backoff {
  /** Until it may be offered again. */
  seconds: number;
  /** Why the last try was spoiled, as sentences. */
  why: string;
}

function tellBackoff({ seconds, why }: Backoff): string {
  return `${why} The job is tried again in ${Math.max(1, Math.ceil(seconds))} s.`;
}

function summarize(machines: readonly MachineView[], fits: boolean, onlyBusy: boolean): string {
  if (machines.length === 0) return 'No machine has joined this market yet.';
  if (fits) return 'A machine fits and is free: the job is about to start.';
  if (onlyBusy) return 'Every machine that fits is busy. The job starts when one becomes free.';
  if (machines.every((machine) => machine.state !== 'online')) return 'No machine is online.';
  return 'No machine on the market fits this job.';
}

/**
 * The smallest single change, in words with the flag to use. Each candidate relaxes one requirement to the
 * nearest value at which some machine would do, and the machine is checked again with that value.
 */
function suggest(needs: JobNeeds, machines: readonly MachineView[]): string | null {
  const online = machines.filter((machine) => machine.state === 'online');
  const free = candidates(needs, online, true)[0];
  if (free) return free;
  // Something fits and is only busy: waiting is the smallest change of all.
  if (online.some((machine) => failedFilters(machine, needs).every((filter) => filter.name === 'busy')))
    return null;
  const busy = candidates(needs, online, false)[0];
  if (busy) return `${busy} It is busy now and would start the job when free.`;
  const asleep = machines.find((machine) =>
    failedFilters(machine, needs).every(({ name }) => name === 'online'),
  );
  if (asleep) return `Machine ${asleep.name} fits but is ${asleep.state}: start its agent.`;
  return machines.length === 0 ? 'Add a machine: cfab machine token' : null;
}

function candidates(needs: JobNeeds, machines: readonly MachineView[], mustBeFree: boolean): string[] {
  return relaxations(needs, machines)
    .map(({ relaxed, words }) => {
      const fitting = machines.filter((machine) =>
        failedFilters(machine, relaxed).every((filter) => !mustBeFree && filter.name === 'busy'),
      );
      const [first] = fitting;
      return first ? `${words} ${machineCount(fitting.length)} would do, such as ${describe(first)}.` : null;
    })
    .filter((text) => text !== null);
}

interface Relaxation {
  relaxed: JobNeeds;
  words: string;
}

/** One requirement changed at a time, cheapest concession first, each to the nearest values that machines have. */
function relaxations(needs: JobNeeds, machines: readonly MachineView[]): Relaxation[] {
  const prices = ascending(machines.map((machine) => unitPriceMicros(needs, machine)))
    .filter((price) => price > needs.maxPricePerHourMicros)
    .map((price) => ({
      relaxed: { ...needs, maxPricePerHourMicros: price },
      words: `Allow ${formatUsd(price)} per hour (--max-price ${formatUsd(price).slice(1)}).`,
    }));
  const vrams = ascending(machines.flatMap((machine) => machine.gpus.map((gpu) => gpu.memoryMib)))
    .reverse()
    .filter((mib) => mib < needs.minVramMib)
    .map((mib) => ({
      relaxed: { ...needs, minVramMib: mib },
      words: `Ask for ${offeredGigabytes(mib)} of GPU memory (--vram ${offeredGigabytes(mib).replace(' ', '')}).`,
    }));
  const models =
    needs.gpuModels.length > 0
      ? [{ relaxed: { ...needs, gpuModels: [] }, words: 'Allow any GPU model (leave out --gpu).' }]
      : [];
  const counts = Array.from({ length: needs.gpus }, (_, index) => needs.gpus - 1 - index)
    .filter((gpus) => gpus > 0)
    .map((gpus) => ({
      relaxed: { ...needs, gpus },
      words: `Ask for ${gpus} GPU${gpus === 1 ? '' : 's'} (--gpus ${gpus}).`,
    }));
  const memories = ascending(machines.map((machine) => machine.memoryMib))
    .reverse()
    .filter((mib) => mib < needs.memoryMib)
    .map((mib) => ({
      relaxed: { ...needs, memoryMib: mib },
      words: `Ask for ${offeredGigabytes(mib)} of memory (--memory ${offeredGigabytes(mib).replace(' ', '')}).`,
    }));
  const cpus = ascending(machines.map((machine) => machine.cpuMilli))
    .reverse()
    .filter((milli) => milli < needs.cpuMilli)
    .map((milli) => ({
      relaxed: { ...needs, cpuMilli: milli },
      words: `Ask for ${milli / 1_000} CPU cores (--cpus ${milli / 1_000}).`,
    }));
  const noGpu =
    needs.gpus > 0
      ? [
          {
            relaxed: { ...needs, gpus: 0, gpuModels: [], minVramMib: 0 },
            words: 'Run without a GPU (--gpus 0).',
          },
        ]
      : [];
  return [...prices, ...vrams, ...models, ...counts, ...memories, ...cpus, ...noGpu];
}

function ascending<T extends number | bigint>(values: readonly T[]): T[] {
  return [...new Set(values)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function describe(machine: MachineView): string {
  const [gpu] = machine.gpus;
  if (!gpu) return `${machine.name} (no GPU)`;
  return `${machine.name} (${machine.gpus.length} × ${gpu.name}, ${offeredGigabytes(gpu.memoryMib)})`;
}

function machineCount(count: number): string {
  return `${count} machine${count === 1 ? '' : 's'}`;
}
