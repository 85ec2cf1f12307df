import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import * as relations from './relations.ts';
import { apiKeys } from './schema/api-keys.ts';
import { artifacts } from './schema/artifacts.ts';
import { billingAccounts } from './schema/billing-accounts.ts';
import { budgetEvents } from './schema/budget-events.ts';
import { budgets } from './schema/budgets.ts';
import { cardDisputes } from './schema/card-disputes.ts';
import { cardRefunds } from './schema/card-refunds.ts';
import { checkpointChunks } from './schema/checkpoint-chunks.ts';
import { checkpoints } from './schema/checkpoints.ts';
import { disputeDecisions } from './schema/dispute-decisions.ts';
import { disputes } from './schema/disputes.ts';
import { gpus } from './schema/gpus.ts';
import { idempotencyKeys } from './schema/idempotency-keys.ts';
import { jobDependencies } from './schema/job-dependencies.ts';
import { jobEvents } from './schema/job-events.ts';
import { jobGroups } from './schema/job-groups.ts';
import { jobs } from './schema/jobs.ts';
import { keptStates } from './schema/kept-states.ts';
import { leases } from './schema/leases.ts';
import { ledgerAccounts } from './schema/ledger-accounts.ts';
import { ledgerTransfers } from './schema/ledger-transfers.ts';
import { logChunks } from './schema/log-chunks.ts';
import { machineCredentials } from './schema/machine-credentials.ts';
import { marketKeys } from './schema/market-keys.ts';
import { meteringRecords } from './schema/metering-records.ts';
import { payments } from './schema/payments.ts';
import { payoutAccounts } from './schema/payout-accounts.ts';
import { payoutReversals } from './schema/payout-reversals.ts';
import { payouts } from './schema/payouts.ts';
import { profiles } from './schema/profiles.ts';
import { providerKeys } from './schema/provider-keys.ts';
import { providers } from './schema/providers.ts';
import { quotes } from './schema/quotes.ts';
import { receipts } from './schema/receipts.ts';
import { registryLogins } from './schema/registry-logins.ts';
import { scheduleFirings } from './schema/schedule-firings.ts';
import { schedules } from './schema/schedules.ts';
import { statementLines } from './schema/statement-lines.ts';
import { storedObjects } from './schema/stored-objects.ts';
import { stripeEvents } from './schema/stripe-events.ts';
import { topUps } from './schema/top-ups.ts';
import { users } from './schema/users.ts';

/** Every table and relation, so that `db.query.<table>` knows them; a test compares this with schema/. */
export const schema = {
  apiKeys,
  artifacts,
  budgetEvents,
  budgets,
  billingAccounts,
  cardDisputes,
  cardRefunds,
  checkpointChunks,
  checkpoints,
  disputeDecisions,
  disputes,
  gpus,
  idempotencyKeys,
  jobDependencies,
  jobEvents,
  jobGroups,
  jobs,
  keptStates,
  leases,
  ledgerAccounts,
  ledgerTransfers,
  logChunks,
  machineCredentials,
  marketKeys,
  meteringRecords,
  payments,
  payoutAccounts,
  payoutReversals,
  payouts,
  profiles,
  providerKeys,
  providers,
  quotes,
  receipts,
  registryLogins,
  scheduleFirings,
  schedules,
  statementLines,
  storedObjects,
  stripeEvents,
  topUps,
  users,
  ...relations,
};

export interface CreateDbOptions {
  /** Most connections at once (default 10). The embedded server allows 100 for all programs together. */
  poolSize?: number;
  /** Shown in pg_stat_activity (default `computefabric`). */
  applicationName?: string;
  /** The server ends a statement that takes longer, in milliseconds (default 30 000). */
  statementTimeoutMs?: number;
  /** The server ends a session that does nothing inside a transaction for longer (default 30 000 ms). */
  idleInTransactionTimeoutMs?: number;
  /** A connection that broke while idle. The pool replaces it by itself; this is for the log. */
  onConnectionError?: (error: Error) => void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_CONNECTION_MS = 30_000;
/** The client waits this much longer than the server, for a server that vanished without a word. */
const CLIENT_GRACE_MS = 10_000;

/**
 * Opens a pool on a database. Reads no environment and keeps no global: whoever composes the program calls
 * this once and hands `db` on. Connections are opened by the first queries, so a wrong URL shows there.
 *
 * @returns `db` for Drizzle, `pool` for plain SQL, `close` which waits for running queries and ends the pool.
 */
export function createDb(
  url: string,
  options: CreateDbOptions = {},
): { db: Db; pool: pg.Pool; close: () => Promise<void> } {
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
  const onConnectionError = options.onConnectionError ?? (() => {});
  const pool = new pg.Pool({
    connectionString: url,
    max: options.poolSize ?? 10,
    application_name: options.applicationName ?? 'computefabric',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_CONNECTION_MS,
    keepAlive: true,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + CLIENT_GRACE_MS,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 30_000,
  });
  // Without these listeners a database restart ends the whole process with an uncaught 'error' event: the
  // pool reports connections that break while idle, and the client one that breaks between two queries of a
  // transaction (the next query of that transaction fails, which is where it is handled).
  pool.on('error', onConnectionError);
  pool.on('connect', (client) => client.on('error', () => {}));
  returnTheDead(pool);

  let closing: Promise<void> | null = null;
  return {
    db: drizzle({ client: pool, schema, casing: 'snake_case' }),
    pool,
    close: () => {
      closing ??= pool.end();
      return closing;
    },
  };
}

/** Time for whoever holds a connection that has ended to notice and to give it back. */
const RETURN_MS = 2_000;

/**
 * Gives connections back that ended while they were lent and that nobody returns: Drizzle does not when the very
 * `begin` of a transaction fails. A pool of which each place was lost so would never lend again.
 */
function returnTheDead(pool: pg.Pool): void {
  const lent = new Set<pg.PoolClient>();
  pool.on('acquire', (client) => lent.add(client));
  pool.on('release', (_error, client) => lent.delete(client));
  pool.on('connect', (client) => {
    client.once('end', () => {
      setTimeout(() => {
        if (lent.has(client)) client.release(true);
      }, RETURN_MS).unref();
    });
  });
}

/** What store functions take as their first argument when they may run inside or outside a transaction. */
export type Db = NodePgDatabase<typeof schema>;

/** An open transaction: what `db.transaction` hands to its callback. A `Tx` may be used as a {@link Db}. */
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0];
