import type { Tx } from '@computefabric/db/client';
import { type ApiKeyId, type JobId, newId, type UserId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import { CURRENCY, formatUsd } from '@computefabric/protocol/money';
import type { GroupSpec } from '@computefabric/protocol/user-api/groups';
import { memberVariables } from '@computefabric/protocol/user-api/shapes';
import { AppError } from '@computefabric/runtime/errors';
import { chargeBudgets } from '../accounts/budget.store.ts';
import { notify, notifyAll } from '../background/signals.ts';
import type { GroupRow } from '../jobs/group-reads.store.ts';
import { insertDependencies } from '../jobs/job-dependencies.store.ts';
import { findJobOf } from '../jobs/job-reads.store.ts';
import { nameFromImage } from '../jobs/job-name.ts';
import { columnsOf } from '../jobs/job-row.ts';
import { resolveDependencies } from '../jobs/resolve-dependencies.ts';
import { placeHolds } from '../ledger/place-hold.ts';
import { quoteTerms } from '../pricing/quote.ts';
import { insertGroup, insertMembers } from './group.store.ts';

/**
 * Submits an array or a gang: the group and all of its members, each with a hold, a payment and a first event of
 * its own as a single job has them, in the caller's transaction. Funds that do not cover all members refuse the
 * whole. What may start at once is queued; the rest waits in `blocked`.
 *
 * @throws AppError `job/name-taken`, `ledger/insufficient-funds`, `budget/exceeded` or `request/invalid`.
 */
export async function submitGroup(
  tx: Tx,
  {
    userId,
    apiKeyId = null,
    group,
    defaultMaxPricePerHourMicros,
  }: {
    userId: UserId;
    apiKeyId?: ApiKeyId | null;
    group: GroupSpec;
    defaultMaxPricePerHourMicros: bigint;
  },
): Promise<GroupRow> {
  const { spec } = group;
  const variables = group.array
    ? memberVariables(group.array)
    : Array.from({ length: group.machines ?? 0 }, () => ({}));
  refuseTooLarge(spec, variables);
  const terms = quoteTerms(spec, defaultMaxPricePerHourMicros);
  const after = await resolveDependencies(tx, userId, spec.after, 'spec.after');
  const waits = after.some(({ met }) => !met);
  const maxParallel = group.array?.max_parallel ?? null;

  const row = await insertNamed(tx, userId, group, variables.length);
  await insertDependencies(tx, { groupId: row.id }, after);
  const columns = columnsOf(userId, spec, terms);
  const members = memberIds(variables.length).map((id, index) => ({
    ...columns,
    id,
    name: memberName(row.name, index),
    env: { ...spec.env, ...variables[index] },
    apiKeyId,
    groupId: row.id,
    groupIndex: index,
    groupVars: variables[index] ?? {},
    state:
      waits || (maxParallel !== null && index >= maxParallel) ? ('blocked' as const) : ('queued' as const),
  }));
  const taken = await insertMembers(tx, members, {
    currency: CURRENCY,
    message: `Submitted. At most ${formatUsd(terms.holdMicros)} is reserved.`,
    data: { hold_micros: String(terms.holdMicros) },
  });
  if (taken !== null) throw nameTaken(taken, spec.name === undefined);
  await placeHolds(
    tx,
    userId,
    members.map(({ id }) => ({ jobId: id, amountMicros: terms.holdMicros })),
  );
  await chargeBudgets(tx, { userId, apiKeyId }, terms.holdMicros * BigInt(members.length));
  if (waits) await notify(tx, 'cf_blocked', row.id);
  await notifyAll(
    tx,
    'cf_queue',
    members.filter(({ state }) => state === 'queued').map(({ id }) => id),
  );
  return row;
}

/** What every member repeats would be multiplied by their number: bounded before anything is written. */
function refuseTooLarge(spec: GroupSpec['spec'], variables: readonly Record<string, string>[]): void {
  const own = JSON.stringify([spec.image, spec.command, spec.env]).length;
  const bytes = own * variables.length + JSON.stringify(variables).length;
  if (bytes <= limits.arrayBytes) return;
  const message = 'is too large: image, command and variables of all members come to more than 64 MiB';
  throw new AppError('request/invalid', {
    message: `array ${message}.`,
    fields: [{ path: 'array', message }],
  });
}

const nameTries = 5;

async function insertNamed(tx: Tx, userId: UserId, group: GroupSpec, size: number): Promise<GroupRow> {
  const { spec } = group;
  for (let attempt = 0; attempt < nameTries; attempt += 1) {
    const name = spec.name ?? nameFromImage(spec.image);
    const taken = await findJobOf(tx, userId, name); // a reference names a job or a group
    const inserted =
      taken === null
        ? await insertGroup(tx, {
            id: newId('group'),
            userId,
            name,
            kind: group.array ? 'array' : 'gang',
            size,
            maxParallel: group.array?.max_parallel ?? null,
            spec: group,
          })
        : null;
    if (inserted) return inserted;
    if (spec.name !== undefined) throw nameTaken(spec.name, false);
  }
  throw new AppError('server/busy', { internal: `no free name for ${spec.image} in ${nameTries} tries` });
}

function nameTaken(name: string, byChance: boolean): AppError {
  if (byChance) return new AppError('server/busy', { internal: `${name} is taken` });
  return new AppError('job/name-taken', {
    message: `You have a job or group called ${name} already.`,
    fields: [{ path: 'spec.name', message: 'is taken' }],
  });
}

/** Job names are at most 64 characters; members keep the end, which tells them apart. */
function memberName(group: string, index: number): string {
  const tail = `-${index}`;
  return `${group.slice(0, 64 - tail.length).replace(/-+$/, '')}${tail}`;
}

/** Ids in the order of the members, so that lists by id are lists by index. */
function memberIds(count: number): JobId[] {
  return Array.from({ length: count }, () => newId('job')).toSorted((a, b) => (a < b ? -1 : 1));
}
