import type { Db } from '@computefabric/db/client';
import { withDeadline } from '@computefabric/runtime/wait';
import { Router } from 'express';
import { databaseNow } from '../../background/database-now.ts';

/** Whether the program can serve; set while it starts. */
export interface Readiness {
  /** The schema is the newest. */
  migrated: boolean;
  /** Requests are taken. */
  listening: boolean;
}

/** Longest time that the database may take to say that it is there, ms. */
const databaseMs = 2_000;

/**
 * `/healthz`: the process lives. `/readyz`: it can do its work, or which part of that is missing (503); for
 * whoever waits for a start or decides where to send requests.
 */
export function healthRoutes({ db, readiness }: { db: Db; readiness: Readiness }): Router {
  const router = Router();
  router.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get('/readyz', async (_request, response) => {
    const checks = { ...readiness, database: await answers(db) };
    const ready = Object.values(checks).every(Boolean);
    response.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not ready', checks });
  });
  return router;
}

async function answers(db: Db): Promise<boolean> {
  try {
    await withDeadline(databaseNow(db), databaseMs, 'the database');
    return true;
  } catch {
    return false; // why is in the log of the requests that need it; here only whether counts
  }
}
