import type { Db } from '@computefabric/db/client';
import type { Logger } from '@computefabric/runtime/log';
import { startWorker, type Worker } from '../background/worker.ts';
import { dropOutlived } from '../checkpoints/checkpoint.store.ts';
import { dropStatesOfEnded } from '../checkpoints/kept-states.store.ts';
import { forgetAnswers } from '../http/idempotency.store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { doomUnreferenced, forgetObject } from '../objects/stored-object.store.ts';
import { forgetCredentials } from '../providers/machine-credential.store.ts';

export interface SweepDeps {
  db: Db;
  objects: ObjectStore;
  log: Logger;
  settings: {
    /** What nothing refers to any more is removed after this long. */
    graceSeconds: number;
    /** Checkpoints are dropped this long after their job has ended. */
    keepCheckpointsSeconds: number;
  };
}

/** Objects that one pass removes at most: a pass stays short beside everything else. */
const batch = 500;
/** Repeats of a create are answered for this long. */
const answersKeptSeconds = 7 * 86_400;
const everyMs = { min: 1_000, max: 60_000 };

/**
 * Removes what nobody needs any more: checkpoints of ended jobs, bytes without a reference, first answers to
 * creates of long ago, credentials that have ended. Any number of orchestrators may sweep at once.
 */
export function startSweepWorker(deps: SweepDeps): Worker {
  const { log, settings } = deps;
  return startWorker({
    name: 'sweep',
    log,
    everyMs: Math.min(Math.max((settings.graceSeconds * 1_000) / 2, everyMs.min), everyMs.max),
    pass: async (signal) => {
      const swept = await sweepOnce(deps, signal);
      if (swept.objects + swept.checkpoints + swept.answers + swept.credentials > 0) log.info(swept, 'swept');
      return swept.objects === batch ? 0 : undefined;
    },
  });
}

/** One pass; gives what was removed. */
export async function sweepOnce(
  { db, objects, log, settings }: SweepDeps,
  signal: AbortSignal,
): Promise<{ checkpoints: number; objects: number; answers: number; credentials: number }> {
  const checkpoints = await dropOutlived(db, settings.keepCheckpointsSeconds);
  await dropStatesOfEnded(db);
  let removed = 0;
  for (const key of await doomUnreferenced(db, settings.graceSeconds, batch)) {
    if (signal.aborted) break;
    try {
      // The bytes first: an interrupted removal leaves a doomed row, and the next pass goes on with it.
      await objects.remove(key);
      await forgetObject(db, key);
      removed += 1;
    } catch (thrown) {
      log.warn({ key, err: thrown }, 'an object could not be removed; the next pass tries again');
    }
  }
  return {
    checkpoints,
    objects: removed,
    answers: await forgetAnswers(db, answersKeptSeconds),
    credentials: await forgetCredentials(db),
  };
}
