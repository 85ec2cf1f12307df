import type { Waiting } from '@computefabric/protocol/user-api/quotes';
import { failedFilters } from '../matching/filters.ts';
import type { JobNeeds, MachineView } from '../matching/machine-view.ts';

/**
 * Why a rank of a gang waits: for one of it there may be room, and for all of them not. What would change that for
 * one rank is no promise for the gang, so nothing is suggested.
 *
 * @param waiting why a single job of these needs would wait
 */
export function explainGang(
  waiting: Waiting,
  needs: JobNeeds,
  machines: readonly MachineView[],
  size: number,
): Waiting {
  const fitting = machines.filter((machine) => failedFilters(machine, needs).length === 0).length;
  if (fitting >= size) return waiting;
  const room = fitting === 1 ? '1 machine has' : `${fitting} machines have`;
  const summary = `It needs ${size} machines at the same time, and ${room} room for a rank now.`;
  return { ...waiting, summary, suggestion: null };
}
