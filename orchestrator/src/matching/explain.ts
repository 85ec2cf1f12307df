import { formatThere } from '@computefabric/protocol/grammar/sizes';
import type { Waiting } from '@computefabric/protocol/user-api/quotes';
import { smallestChanges } from './concessions.ts';
import { expectedStartMs } from './expected-start.ts';
import { compileNeeds, type Filter, type FilterName, filters, onlyWaits } from './filters.ts';
import type { JobNeeds, MachineView } from './machine-view.ts';

/** Where a job stands at the moment of asking. */
export interface Standing {
  /** Place in the queue, from 1. */
  position: number;
  now: Date;
  /** What the jobs before it ask for, the first one first. */
  ahead: readonly JobNeeds[];
  /** Set while the job rests after a spoiled try. */
  backoff?: Backoff | null;
}

/** Why a job that a machine could take is not offered at the moment. */
export interface Backoff {
  /** Until it may be offered again. */
  seconds: number;
  /** Why the last try was spoiled, as sentences. */
  why: string;
}

/**
 * Why a job waits: for each rule how many machines it excludes, and the smallest single change that would
 * let the job start. Uses the very filters that the matcher uses, so it cannot tell another story.
 */
export function explain(
  needs: JobNeeds,
  machines: readonly MachineView[],
  { position, now, ahead, backoff = null }: Standing,
): Waiting {
  const asked = compileNeeds(needs);
  const failures = machines.map((machine) => asked.failures(machine));
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
  const onlyBusy = failures.some(onlyWaits);
  const restMs = machines.flatMap(({ restsInMs }, index) =>
    restsInMs !== null && failures[index]?.every(({ name }) => name === 'resting') ? [restsInMs] : [],
  );
  const startMs = !fits && onlyBusy ? expectedStartMs(needs, machines, ahead) : null;
  return {
    position,
    machines: machines.length,
    summary:
      fits && backoff ? tellBackoff(backoff) : summarize(machines, failures, { fits, onlyBusy, restMs }),
    expected_start: startMs === null ? null : new Date(now.getTime() + startMs).toISOString(),
    filters: rows,
    ...(fits ? { suggestion: null, change: null } : suggest(needs, machines, onlyBusy)),
  };
}

function tellBackoff({ seconds, why }: Backoff): string {
  return `${why} The job is tried again in ${Math.max(1, Math.ceil(seconds))} s.`;
}

function summarize(
  machines: readonly MachineView[],
  failures: readonly Filter[][],
  { fits, onlyBusy, restMs }: { fits: boolean; onlyBusy: boolean; restMs: readonly number[] },
): string {
  if (machines.length === 0) return 'No machine has joined this market yet.';
  if (fits) return 'A machine fits and is free: the job is about to start.';
  if (restMs.length > 0) {
    const seconds = Math.max(1, Math.ceil(Math.min(...restMs) / 1_000));
    return `A machine that fits has just not taken an offer, and is asked again in ${seconds} s.`;
  }
  if (onlyBusy) return 'Every machine that fits is busy. The job starts when one becomes free.';
  if (machines.every((machine) => machine.state !== 'online')) return 'No machine is online.';
  const asleep = failures.filter(onlyAsleep).length;
  if (asleep > 0)
    return `${machineCount(asleep)} would fit but ${asleep === 1 ? 'takes' : 'take'} no new work now: paused, draining, offline or not lent at this moment.`;
  return 'No machine on the market fits this job.';
}

/** Whether a machine would do if it took work, now or once what runs on it has ended. */
function onlyAsleep(failed: readonly Filter[]): boolean {
  return failed.length > 0 && failed.every(({ name }) => asleepNames.has(name));
}

const asleepNames: ReadonlySet<FilterName> = new Set(['online', 'availability', 'owner', 'busy', 'resting']);

/**
 * The smallest single change, in words with the flag to use and as a field of the job file. With it the job would
 * start now; when no single change does that, one after which the job waits only for busy machines.
 */
function suggest(
  needs: JobNeeds,
  machines: readonly MachineView[],
  onlyBusy: boolean,
): Pick<Waiting, 'suggestion' | 'change'> {
  const online = machines.filter((machine) => machine.state === 'online');
  const free = smallestChanges(needs, online, false).find(
    // Something fits and is only busy: then a GPU that comes later is better than none now.
    ({ change }) => !onlyBusy || change.needs.gpus > 0 || needs.gpus === 0,
  );
  if (free) return { suggestion: tell(free), change: asField(free) };
  // Something fits and is only busy: waiting is the smallest change of all.
  if (onlyBusy) return { suggestion: null, change: null };
  const [busy] = smallestChanges(needs, online, true);
  if (busy) {
    const suggestion = `${tell(busy)} It is busy now and would start the job when free.`;
    return { suggestion, change: asField(busy) };
  }
  const asleep = machines.find((machine) => {
    const failed = compileNeeds(needs).failures(machine);
    return failed.every(({ name }) => name === 'online');
  });
  if (asleep)
    return {
      suggestion: `Machine ${asleep.name} fits but is ${asleep.state}: start its agent.`,
      change: null,
    };
  const kept = online.find((machine) => onlyAsleep(compileNeeds(needs).failures(machine)));
  if (kept?.availability === 'open')
    return {
      suggestion: `Machine ${kept.name} would do when its owner's rules let it work again.`,
      change: null,
    };
  if (kept)
    return {
      suggestion: `Machine ${kept.name} would do when its owner gives it work again (cfab machine resume, if it is yours).`,
      change: null,
    };
  const nothing = 'No single change to the job would do.';
  return { suggestion: machines.length === 0 ? 'Add a machine: cfab machine token' : nothing, change: null };
}

type Found = ReturnType<typeof smallestChanges>[number];

function tell({ change, fitting }: Found): string {
  const [first] = fitting;
  const example = first ? `, such as ${describe(first)}` : '';
  return `${change.words} ${machineCount(fitting.length)} would do${example}.`;
}

function asField({ change: { field, value } }: Found): { field: string; value: string | null } {
  return { field, value };
}

function describe(machine: MachineView): string {
  const [gpu] = machine.gpus;
  if (!gpu) return `${machine.name} (no GPU)`;
  return `${machine.name} (${machine.gpus.length} × ${gpu.name}, ${formatThere(gpu.memoryMib)})`;
}

function machineCount(count: number): string {
  return `${count} machine${count === 1 ? '' : 's'}`;
}
