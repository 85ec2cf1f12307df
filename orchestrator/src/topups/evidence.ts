import type { Db } from '@computefabric/db/client';
import type { UserId } from '@computefabric/protocol/ids';
import { formatUsd } from '@computefabric/protocol/money';
import { findJobRecord } from './card-dispute.store.ts';

/** Jobs that are shown, and characters that Stripe takes of one field. */
const most = { jobs: 100, characters: 18_000 };

/** What a bank is told about a renter who claims their money back: what they ran, and what each job did when. */
export async function assembleEvidence(db: Db, userId: UserId): Promise<{ summary: string; log: string }> {
  const jobs = await findJobRecord(db, userId, most.jobs);
  const summary =
    'Computing time by the second on machines of a marketplace. The customer pays in first and submits jobs ' +
    `with an API key of their account. The record below is that of their last ${jobs.length} jobs: when each was ` +
    'submitted, started and ended, as noted by the service at that moment. Times are UTC.';
  const log = jobs
    .map(
      (job) =>
        `${job.id} (${job.image}): submitted ${job.submitted_at}, ${job.state}, ${job.billed_seconds} s billed, ` +
        `${formatUsd(BigInt(job.cost))}\n${job.events ?? ''}`,
    )
    .join('\n\n');
  return { summary, log: log.slice(0, most.characters) || 'The customer has submitted no job.' };
}
