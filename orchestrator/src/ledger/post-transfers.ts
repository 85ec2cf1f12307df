import type { Tx } from '@computefabric/db/client';
import type { TransferKind } from '@computefabric/db/schema/ledger-transfers';
import type { AccountId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { accountById, findTransfer, insertTransfers, moveTotals } from './ledger.store.ts';

/** One movement of money. */
export interface Transfer {
  /** Given by the cause, such as `hold:job_…`: the same cause moves money only once. */
  id: string;
  kind: TransferKind;
  from: AccountId;
  to: AccountId;
  /** Above zero. */
  amountMicros: bigint;
  jobId?: JobId;
  leaseId?: LeaseId;
}

/**
 * The one function that moves money: all of these transfers, in the caller's transaction. A transfer whose
 * cause has moved the same money before is left out, so that a repeat changes nothing.
 *
 * Every account that is touched is updated once, in the order of ids: transactions that share accounts
 * therefore wait for each other and never in a circle. Call it once in a transaction, for the same reason.
 *
 * @throws AppError `ledger/insufficient-funds` when a renter's available balance does not cover its part.
 * @throws InvariantError when any other account does not, or a cause comes back as another movement.
 */
export async function postTransfers(tx: Tx, transfers: readonly Transfer[]): Promise<void> {
  const deltas = new Map<AccountId, Delta>();
  for (const transfer of await insertOnce(tx, transfers)) {
    deltaOf(deltas, transfer.from).debitMicros += transfer.amountMicros;
    deltaOf(deltas, transfer.to).creditMicros += transfer.amountMicros;
  }
  const inOrder = [...deltas].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [accountId, delta] of inOrder) {
    if (!(await moveTotals(tx, accountId, delta))) await refuse(tx, accountId, delta);
  }
}

interface Delta {
  creditMicros: bigint;
  debitMicros: bigint;
}

/** Gives those that are new; the others must be what the same cause has moved already. */
async function insertOnce(tx: Tx, transfers: readonly Transfer[]): Promise<Transfer[]> {
  const rows = transfers.map(({ from, to, ...row }) => {
    invariant(row.amountMicros > 0n, `transfer ${row.id} moves ${row.amountMicros} micros`);
    return { ...row, debitAccountId: from, creditAccountId: to };
  });
  invariant(new Set(rows.map(({ id }) => id)).size === rows.length, 'each transfer has a cause of its own');
  const inserted = await insertTransfers(tx, rows);
  for (const row of rows.filter(({ id }) => !inserted.has(id))) {
    const before = await findTransfer(tx, row.id);
    invariant(
      before?.amountMicros === row.amountMicros &&
        before.debitAccountId === row.debitAccountId &&
        before.creditAccountId === row.creditAccountId,
      `transfer ${row.id} was posted before as another movement`,
    );
  }
  return transfers.filter(({ id }) => inserted.has(id));
}

async function refuse(tx: Tx, accountId: AccountId, delta: Delta): Promise<never> {
  const account = await accountById(tx, accountId);
  invariant(account, `ledger account ${accountId} exists`);
  const available = account.creditsMicros - account.debitsMicros;
  const needed = delta.debitMicros - delta.creditMicros;
  invariant(
    account.kind === 'renter_available',
    `${account.kind} account ${accountId} has ${available} of the ${needed} micros that it must pay`,
  );
  throw new AppError('ledger/insufficient-funds', {
    details: { available_micros: String(available), needed_micros: String(needed) },
  });
}

function deltaOf(deltas: Map<AccountId, Delta>, accountId: AccountId): Delta {
  const delta = deltas.get(accountId) ?? { creditMicros: 0n, debitMicros: 0n };
  deltas.set(accountId, delta);
  return delta;
}
