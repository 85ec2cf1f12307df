import type { CheckpointView } from '@computefabric/protocol/user-api/checkpoints';
import type { JobRow } from '../jobs/job.store.ts';
import type { CheckpointRow } from './checkpoint.store.ts';

export function viewCheckpoint(row: CheckpointRow, job: Pick<JobRow, 'checkpointId'>): CheckpointView {
  return {
    id: row.id,
    lease_id: row.leaseId,
    attempt: row.attempt,
    state: row.state,
    files: row.files,
    size_bytes: row.sizeBytes,
    new_bytes: row.newBytes,
    taken_at: row.takenAt.toISOString(),
    next: row.id === job.checkpointId,
  };
}
