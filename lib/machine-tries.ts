import 'server-only';

import { ApiError } from '@computefabric/api-client/errors';
import { providerId } from '@computefabric/protocol/ids';
import type { Machine, MachineTry } from '@computefabric/protocol/user-api/machines';
import { orchestratorAs } from './orchestrator.ts';
import type { Session } from './session.ts';

/** Tries on one page. */
const shownTries = 50;

/** One of the viewer's machines with a page of what it was given; null when there is none of that id. */
export async function getMachineTries(
  session: Session,
  id: string,
  after: string | undefined,
): Promise<{ machine: Machine; tries: MachineTry[]; next: string | null } | null> {
  const machine = providerId.safeParse(id);
  if (!machine.success) return null;
  const { machines } = orchestratorAs(session);
  try {
    const [found, page] = await Promise.all([
      machines.get(machine.data),
      machines.tries(machine.data, { limit: shownTries, cursor: after }),
    ]);
    return { machine: found, tries: page.items, next: page.next_cursor };
  } catch (thrown) {
    if (thrown instanceof ApiError && (thrown.status === 404 || thrown.status === 400)) return null;
    throw thrown;
  }
}
