import type { Client } from '@computefabric/api-client/client';
import type { GroupView } from '@computefabric/protocol/user-api/groups';
import { never } from '@computefabric/runtime/invariant';
import { pause } from '@computefabric/runtime/wait';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { facts } from '../terminal/table.ts';
import { progressLine } from './group-text.ts';

/** Time between two looks, ms; the first ones come sooner, for groups that are done at once. */
const lookMs = { first: 250, later: 2_000 };
/** Time between two lines of progress where nothing can be drawn over, ms. */
const tellMs = 10_000;

/** Shows the progress of a group until it has ended and its bills are settled. Rejects when `signal` aborts. */
export async function followGroup(
  cli: Cli,
  client: Client,
  id: string,
  { signal, until }: { signal: AbortSignal; until: (group: GroupView) => boolean },
): Promise<GroupView> {
  const startedAt = performance.now();
  let toldAt = Number.NEGATIVE_INFINITY;
  let told = '';
  let waitMs = lookMs.first;
  try {
    for (;;) {
      const group = await client.groups.get(id, { signal });
      if (until(group)) return group;
      const line = progressLine(group, performance.now() - startedAt);
      cli.terminal.live(line);
      const shape = JSON.stringify(group.counts);
      if (
        !cli.json &&
        !cli.terminal.talk.canRedraw &&
        shape !== told &&
        performance.now() - toldAt >= tellMs
      ) {
        cli.say(`├ ${line}`);
        told = shape;
        toldAt = performance.now();
      }
      await pause(waitMs, signal);
      signal.throwIfAborted();
      waitMs = Math.min(lookMs.later, waitMs * 2);
    }
  } finally {
    cli.terminal.live(null);
  }
}

/** Ended, and every bill is settled: its numbers are final. */
export function isSettled(group: GroupView): boolean {
  return group.state !== 'active' && group.cost.unsettled === 0;
}

/** The program's exit code for a group: 0 only when every member succeeded. */
export function exitCodeForGroup(group: Pick<GroupView, 'state'>): number {
  switch (group.state) {
    case 'active':
      return exitCode('jobNotFinished');
    case 'succeeded':
      return exitCode('ok');
    case 'cancelled':
      return exitCode('jobCancelled');
    case 'failed':
      return exitCode('jobFailed');
    default:
      return never(group.state, 'state of a group');
  }
}

/** Where somebody who leaves finds the group again. */
export function waysToGroup(program: string, name: string): string[] {
  return facts([
    ['see it', `${program} status ${name}`],
    ['wait for it', `${program} wait ${name}`],
    ['output of one', `${program} logs ${name}/0`],
    ['stop it', `${program} cancel ${name}`],
  ]);
}
