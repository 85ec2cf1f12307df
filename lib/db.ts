import 'server-only';

import { createDb, type Db } from '@computefabric/db/client';
import { getConfig } from './config.ts';

/** A page makes a few short queries; ten connections serve many people and leave the rest to the orchestrator. */
const poolSize = 10;
/** A page that takes longer than this is broken, not slow. */
const statementTimeoutMs = 5_000;

/**
 * The process's one database. Kept on the global object because the development server loads this module
 * anew after every change, and each load would otherwise leave a pool behind.
 */
export function getDb(): Db {
  globalThis.computefabricDashboardDb ??= createDb(getConfig().databaseUrl, {
    poolSize,
    statementTimeoutMs,
    applicationName: 'computefabric-dashboard',
  }).db;
  return globalThis.computefabricDashboardDb;
}

declare global {
  var computefabricDashboardDb: Db | undefined;
}
