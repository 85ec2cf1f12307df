import type { Db } from '@computefabric/db/client';
import { silentLogger } from '@computefabric/runtime/log';
import { MarketMatcher } from '../../orchestrator/src/leases/market-matcher.ts';
import { endAllLeases, fillJobs, gpusPerMachine } from './synthetic-market.ts';

export interface RoundsResult {
  queued: number;
  machines: number;
  /** Reading the whole queue and fleet, as at a start or a take-over, and the first round with it. */
  firstPassMs: number;
  leases: number;
  leasesPerSecond: number;
}

/**
 * Leases granted by the very matcher that the orchestrator runs, on a queue that stays as deep: after each round
 * everything that was leased ends, as many new jobs come, and the change feed tells of both. Only the passes are
 * timed: reading what has changed, matching, and the durable commits.
 */
export async function matcherRounds(
  db: Db,
  { queued, machines, rounds }: { queued: number; machines: number; rounds: number },
): Promise<RoundsResult> {
  const settings = {
    leaseTtlSeconds: 30,
    offerSeconds: 3_600,
    heartbeatSeconds: 10,
    maxAttempts: 10,
    platformFeeBps: 0,
    priceFloorPerGpuHourMicros: 0n,
    preemptionNoticeSeconds: 30,
  };
  const matcher = new MarketMatcher({ db, log: silentLogger, settings });
  let nextJob = 1;
  await fillJobs(db, nextJob, queued);
  nextJob += queued;
  await db.execute('analyze');
  const startedAt = performance.now();
  const first = await matcher.pass();
  const firstPassMs = performance.now() - startedAt;
  const slots = Math.min(queued, machines * gpusPerMachine);
  if (first.granted !== slots) throw new Error(`${first.granted} of ${slots} were granted`);
  let leases = 0;
  let ms = 0;
  for (let round = 0; round < rounds; round += 1) {
    for (const id of await endAllLeases(db)) matcher.noteChange(id);
    for (const id of await fillJobs(db, nextJob, slots)) matcher.noteChange(id);
    nextJob += slots;
    const roundAt = performance.now();
    const { granted } = await matcher.pass();
    ms += performance.now() - roundAt;
    leases += granted;
  }
  return { queued, machines, firstPassMs, leases, leasesPerSecond: (leases * 1_000) / ms };
}
