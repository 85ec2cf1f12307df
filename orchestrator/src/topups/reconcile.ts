import { marketAccount } from '../ledger/chart.ts';
import { postTransfers, type Transfer } from '../ledger/post-transfers.ts';
import type { StatementLine } from '../stripe/stripe-gateway.ts';
import {
  expectedAtStripe,
  findUnexplained,
  insertLines,
  newestLineAt,
  type Unexplained,
} from './statement.store.ts';
import type { TopUpDeps } from './top-up-deps.ts';

export interface Reconciliation {
  /** What Stripe has beyond what the ledger says, micros; 0 when they agree. */
  differenceMicros: bigint;
  /** What does not fit, by name. */
  unexplained: Unexplained[];
}

/** Stripe may list a line some time after the moment that it bears: this far back is asked for again. */
const overlapMs = 3 * 86_400_000;

/**
 * Reads Stripe's statement as far as it is not kept yet, books the fees that it shows, and holds it against the
 * ledger: line by line in both directions, and the sum against Stripe's balance.
 *
 * @param graceSeconds lines and transfers younger than this may still be on their way
 */
export async function reconcile(deps: TopUpDeps, graceSeconds: number): Promise<Reconciliation> {
  const { db, stripe } = deps;
  const newest = await newestLineAt(db);
  const since = new Date(newest === null ? 0 : newest.getTime() - overlapMs);
  for await (const lines of stripe.listStatement(since)) await keepLines(deps, lines);
  const { availableMicros, pendingMicros } = await stripe.readBalance();
  return {
    differenceMicros: availableMicros + pendingMicros - (await expectedAtStripe(db)),
    unexplained: await findUnexplained(db, graceSeconds),
  };
}

async function keepLines({ db }: TopUpDeps, lines: readonly StatementLine[]): Promise<void> {
  await db.transaction(async (tx) => {
    const fees = (await insertLines(tx, lines)).map((line) => ({ id: line.id, micros: feeOf(line) }));
    const clearing = await marketAccount(tx, 'stripe_clearing');
    const kept = await marketAccount(tx, 'stripe_fees');
    const transfers: Transfer[] = fees
      .filter(({ micros }) => micros !== 0n)
      .map(({ id, micros }) => ({
        id: `stripe-fee:${id}`,
        kind: 'stripe-fee',
        // A fee that Stripe gives back goes the other way.
        ...(micros > 0n ? { from: kept, to: clearing } : { from: clearing, to: kept }),
        amountMicros: micros > 0n ? micros : -micros,
      }));
    await postTransfers(tx, transfers);
  });
}

/** What Stripe kept: of a payment, or as a line of its own. */
function feeOf(line: StatementLine): bigint {
  return line.type === 'stripe_fee' ? line.feeMicros - line.amountMicros : line.feeMicros;
}
