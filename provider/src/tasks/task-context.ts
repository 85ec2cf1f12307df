import type { Clock } from '@computefabric/runtime/clock';
import type { Logger } from '@computefabric/runtime/log';
import type { KeptStates } from '../checkpoints/kept-states.ts';
import type { ContainerDriver, PullProgress } from '../container/container-driver.ts';
import type { PulledImages } from '../images/pulled-images.ts';
import type { LeaseReports } from '../control-plane/lease-reports.ts';
import type { BootClock } from '../home/boot-clock.ts';
import type { TaskOutput } from '../run-logs/task-output.ts';
import type { TaskJournal } from './journal.ts';
import type { StopCause } from './task-record.ts';
import type { MeteringWitness } from './witness-metering.ts';

/** What every task on this machine shares. */
export interface TaskDeps {
  driver: ContainerDriver;
  clock: Clock;
  bootClock: BootClock;
  log: Logger;
  /** The images that this agent has pulled. */
  images: PulledImages;
  /** State that stays on this machine for next tries. */
  states: KeptStates;
  /** Resolves when the watchdog is there: no program is started before. */
  guarded: Promise<void>;
  /** GPUs that are only shown: they are counted but there is nothing to pass into the container. */
  isSimulatedGpu: (uuid: string) => boolean;
}

/** What a step of a task works with. */
export interface TaskContext extends TaskDeps {
  journal: TaskJournal;
  reports: LeaseReports;
  output: TaskOutput;
  witness: MeteringWitness;
  /** The container that this process has made and not tried to start yet: there is no need to look at it first. */
  unstarted: { containerId: string | null };
  /** Aborts when the task must be let go at once: it is not ours any more, or this process leaves. */
  signal: AbortSignal;
  /** Aborts when the task is to stop before its program ends by itself; `stop` in the journal says why. */
  halt: AbortSignal;
  /** Aborts when the lease time is over. */
  expired: AbortSignal;
  /** Writes down why the task is to stop, unless it is stopping or over already. */
  stop: (cause: StopCause) => Promise<void>;
  /** Tells the orchestrator that the program runs, once; the same promise for every caller. */
  reportStarted: () => Promise<void>;
  onProgress: (progress: PullProgress) => void;
}
