import type { GpuId, LeaseId } from '@computefabric/protocol/ids';
import type { FleetMachine } from './fleet.ts';
import { type JobNeeds, type RunningLease, suits } from './machine-view.ts';

/**
 * A place that is kept for the job at the head of the line: on this machine it starts at that time at the
 * latest. Others may use the machine as long as they are not in its way then (EASY backfill: Lifka, "The
 * ANL/IBM SP scheduling system", 1995).
 */
export interface Reservation {
  machine: FleetMachine;
  /** Milliseconds from now. */
  inMs: number;
  /** GPUs that it could have then, and how many of them it needs. */
  gpuIds: ReadonlySet<GpuId>;
  gpus: number;
  /** What the machine has over and above at that time. */
  spare: { cpuMilli: number; memoryMib: number };
}

/** When and where on a machine a job could start at the latest if nothing else came; null for never. */
export function earliestStart(machine: FleetMachine, needs: JobNeeds, nowMs: number): Reservation | null {
  const endings = machine.running
    .map((lease) => ({ lease, inMs: remainingMs(machine, lease, nowMs) }))
    .sort((a, b) => a.inMs - b.inMs);
  const room = roomOf(machine);
  let inMs = 0;
  for (let ended = 0; ; ended += 1) {
    const gpuIds = fits(machine, needs, room);
    if (gpuIds) {
      return {
        machine,
        inMs,
        gpuIds: new Set(gpuIds),
        gpus: needs.gpus,
        spare: { cpuMilli: room.cpuMilli - needs.cpuMilli, memoryMib: room.memoryMib - needs.memoryMib },
      };
    }
    const next = endings[ended];
    if (!next) return null;
    giveBack(room, next.lease);
    inMs = next.inMs;
  }
}

/**
 * The fewest spot tries that must give way on a machine for a job to fit, the shortest-running first, because
 * they lose least; null when even all of them would not do.
 */
export function evictionsFor(machine: FleetMachine, needs: JobNeeds, nowMs: number): LeaseId[] | null {
  const spots = machine.running
    .filter((lease) => lease.spot && !lease.stopping)
    .sort((a, b) => remainingMs(machine, b, nowMs) - remainingMs(machine, a, nowMs));
  const room = roomOf(machine);
  // What is on its way out is waited for, not counted as reason to stop more.
  for (const lease of machine.running) if (lease.stopping) giveBack(room, lease);
  const chosen: RunningLease[] = [];
  for (const lease of spots) {
    if (fits(machine, needs, room)) break;
    giveBack(room, lease);
    chosen.push(lease);
  }
  if (!fits(machine, needs, room)) return null;
  // Some may have been chosen in vain before the one that mattered.
  for (const lease of chosen.slice()) {
    takeAway(room, lease);
    if (fits(machine, needs, room)) chosen.splice(chosen.indexOf(lease), 1);
    else giveBack(room, lease);
  }
  return chosen.map((lease) => lease.id);
}

/** Whether a job may start on the machine of a reservation now without being in its way. */
export function leavesRoom(
  { machine, inMs, gpuIds, gpus: kept, spare }: Reservation,
  needs: JobNeeds,
  gpus: readonly GpuId[],
): boolean {
  if (needs.timeLimitSeconds * 1_000 <= inMs) return true;
  if (gpuIds.size - gpus.filter((id) => gpuIds.has(id)).length < kept) return false;
  return (
    needs.cpuMilli <= spare.cpuMilli &&
    needs.memoryMib <= spare.memoryMib &&
    machine.diskMibFree >= needs.diskMib
  );
}

interface Room {
  cpuMilli: number;
  memoryMib: number;
  diskMib: number;
  gpuMilli: Map<GpuId, number>;
}

function roomOf(machine: FleetMachine): Room {
  return {
    cpuMilli: machine.cpuMilliFree,
    memoryMib: machine.memoryMibFree,
    diskMib: machine.diskMibFree,
    gpuMilli: new Map(machine.gpus.map((gpu) => [gpu.id, gpu.freeMilli])),
  };
}

function giveBack(room: Room, lease: RunningLease, sign: 1 | -1 = 1): void {
  room.cpuMilli += sign * lease.cpuMilli;
  room.memoryMib += sign * lease.memoryMib;
  room.diskMib += sign * lease.diskMib;
  for (const id of lease.gpuIds) room.gpuMilli.set(id, (room.gpuMilli.get(id) ?? 0) + sign * lease.gpuMilli);
}

function takeAway(room: Room, lease: RunningLease): void {
  giveBack(room, lease, -1);
}

/** All GPUs of which a job could have some in this room; null when it does not fit. */
function fits(machine: FleetMachine, needs: JobNeeds, room: Room): GpuId[] | null {
  if (room.cpuMilli < needs.cpuMilli || room.memoryMib < needs.memoryMib || room.diskMib < needs.diskMib) {
    return null;
  }
  if (needs.gpuMilli < 1_000 && !machine.sharesGpus && needs.gpus > 0) return null;
  const free = machine.gpus
    .filter((gpu) => suits(gpu, needs) && (room.gpuMilli.get(gpu.id) ?? 0) >= needs.gpuMilli)
    .map((gpu) => gpu.id);
  return free.length >= needs.gpus ? free : null;
}

function remainingMs(machine: FleetMachine, lease: RunningLease, nowMs: number): number {
  return Math.max(0, lease.endsInMs - (nowMs - machine.seenAtMs));
}
