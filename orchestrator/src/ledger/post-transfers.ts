import type { Tx } from '@computefabric/db/client';
import type { TransferKind } from '@computefabric/db/schema/ledger-transfers';
import type { AccountId, JobId, LeaseId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { invariant, InvariantError } from '@computefabric/runtime/invariant';
import { z } from 'zod';
import { postgresFault } from '../background/postgres-error.ts';
import { findOtherwise, insertTransfers } from './ledger.store.ts';

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
 * The one function that moves money: all of these transfers, in the caller's transaction and in one statement,
 * whatever their number. A transfer whose cause has moved the same money before is left out, so that a repeat
 * changes nothing.
 *
 * The database moves the accounts' totals itself, each account once, in the order of their ids: transactions that
 * share accounts therefore wait for each other and never in a circle. Call it once in a transaction, for the same
 * reason.
 *
 * A refusal has spoiled the transaction: the caller lets it go.
 *
 * @throws AppError `ledger/insufficient-funds` when a renter's available balance does not cover its part; its
 *   details name the cause that was the first, in the order of ids, to find too little.
 * @throws InvariantError when any other account does not, or a cause comes back as another movement.
 */
export async function postTransfers(tx: Tx, transfers: readonly Transfer[]): Promise<void> {
  if (transfers.length === 0) return;
  const rows = transfers.map(({ from, to, ...row }) => {
    invariant(row.amountMicros > 0n, `transfer ${row.id} moves ${row.amountMicros} micros`);
    return { jobId: null, leaseId: null, ...row, debitAccountId: from, creditAccountId: to };
  });
  invariant(new Set(rows.map(({ id }) => id)).size === rows.length, 'each transfer has a cause of its own');
  const inserted = await insertTransfers(tx, rows).catch(refuse);
  if (inserted === rows.length) return;
  const [otherwise] = await findOtherwise(tx, rows);
  if (otherwise !== undefined) {
    throw new InvariantError(`transfer ${otherwise} was posted before as another movement`);
  }
}

/** What the database says of an account that does not have what it is to pay. */
const shortfall = z.object({
  account: z.string(),
  kind: z.string(),
  available: z.string(),
  needed: z.string(),
  cause: z.string().nullable(),
});

function refuse(thrown: unknown): never {
  const fault = postgresFault(thrown);
  if (!fault?.constraint?.startsWith('ledger_')) throw thrown;
  if (fault.constraint !== 'ledger_accounts_floor' || fault.detail === undefined) {
    throw new InvariantError(`${fault.constraint}: ${fault.message}`);
  }
  const short = shortfall.parse(JSON.parse(fault.detail));
  if (short.kind !== 'renter_available') {
    throw new InvariantError(
      `${short.kind} account ${short.account} has ${short.available} of the ${short.needed} micros that it must pay for ${short.cause}`,
    );
  }
  throw new AppError('ledger/insufficient-funds', {
    details: { available_micros: short.available, needed_micros: short.needed, refused: short.cause },
  });
}
