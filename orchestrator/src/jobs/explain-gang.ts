import type { Waiting } from '@computefabric/protocol/user-api/quotes';
import { failedFilters } from '../matching/filters.ts';
import { type GangOwners, ownerSets } from '../matching/gang-owners.ts';
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
  gang: GangOwners & { size: number },
): Waiting {
  const fitting = machines.filter((machine) => failedFilters(machine, needs).length === 0);
  const together = ownerSets(gang).map((mayOwn) => fitting.filter(({ ownerId }) => mayOwn(ownerId)).length);
  if (together.some((machinesOfSet) => machinesOfSet >= gang.size)) return waiting;
  const room = fitting.length === 1 ? '1 machine has' : `${fitting.length} machines have`;
  const summary = `It needs ${gang.size} machines at the same time, and ${room} room for a rank now.`;
  const apart =
    fitting.length < gang.size
      ? ''
      : ' Machines of your own, and those of an owner on whose machine a rank was lost before, are taken only among themselves.';
  return { ...waiting, summary: summary + apart, suggestion: null, change: null };
}
