import type { Client } from '@computefabric/api-client/client';
import { ApiError } from '@computefabric/api-client/errors';
import type { GroupView } from '@computefabric/protocol/user-api/groups';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { findJob } from '../jobs/find-job.ts';

export type Target = { kind: 'job'; job: JobView } | { kind: 'group'; group: GroupView };

/**
 * The job or the group that a person means: the exact id or name of either, else the beginning of a job's.
 *
 * @throws CliError as `findJob` does when it is neither.
 */
export async function findTarget(cli: Cli, client: Client, reference: string): Promise<Target> {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(reference)) {
    const job = reference.startsWith('group_') ? null : await orNull(client.jobs.get(reference));
    if (job) return { kind: 'job', job };
    const group = await orNull(client.groups.get(reference));
    if (group) return { kind: 'group', group };
  }
  return { kind: 'job', job: await findJob(cli, client, reference) };
}

async function orNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.status === 404) return null;
    throw thrown;
  }
}
