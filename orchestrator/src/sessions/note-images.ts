import type { Db } from '@computefabric/db/client';
import type { ProviderId } from '@computefabric/protocol/ids';
import { notify } from '../background/signals.ts';
import { imagesInDemand, setCachedImages } from '../providers/images.store.ts';

/** An image is popular, and its name no secret, when so many accounts run it. */
const leastAccounts = 3;
const mostSuggested = 8;
/** Demand is looked at once for all machines that ask meanwhile. */
const demandTtlMs = 60_000;

/**
 * Takes in which images a machine has, so that the matcher knows it at once, and answers with those that many ask for.
 * What is in demand is remembered for a minute.
 */
export function imageNotes(
  clock: () => number = () => performance.now(),
): (deps: { db: Db }, providerId: ProviderId, names: readonly string[]) => Promise<string[]> {
  let demand: { images: Promise<string[]>; atMs: number } | null = null;
  return async ({ db }, providerId, names) => {
    await db.transaction(async (tx) => {
      if (await setCachedImages(tx, providerId, names)) await notify(tx, 'cf_queue', providerId);
    });
    if (!demand || clock() - demand.atMs > demandTtlMs) {
      const images = imagesInDemand(db, leastAccounts, mostSuggested);
      const asked = { images, atMs: clock() };
      demand = asked;
      // The next machine asks again.
      images.catch(() => {
        if (demand === asked) demand = null;
      });
    }
    return await demand.images;
  };
}
