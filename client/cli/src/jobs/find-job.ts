import type { Client } from '@computefabric/api-client/client';
import { ApiError } from '@computefabric/api-client/errors';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { CliError } from '../errors/cli-error.ts';
import { nearest } from '@computefabric/protocol/grammar/similar';

/**
 * The job that a person means: by id, by name, or by the beginning of either when only one job begins so.
 *
 * @throws CliError job/not-found with the nearest name, or cli/ambiguous-job with the choices.
 */
export async function findJob(cli: Cli, client: Client, reference: string): Promise<JobView> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,120}(?:\/\d{1,5})?$/.test(reference))
    throw await notFound(cli, client, reference);
  try {
    return await client.jobs.get(reference);
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.code !== 'job/not-found') throw thrown;
  }
  if (reference.includes('/')) throw await notFound(cli, client, reference);
  const { items } = await client.jobs.list({ q: reference, limit: 50 });
  const matches = items.filter(({ id, name }) => id.startsWith(reference) || name.startsWith(reference));
  const [only] = matches;
  if (only && matches.length === 1) return await client.jobs.get(only.id);
  if (matches.length > 1) {
    throw new CliError({
      code: 'cli/ambiguous-job',
      message: `${matches.length} jobs begin with "${reference}"`,
      facts: matches.slice(0, 5).map(({ name, state }) => [name, state] as const),
      help: ['give more of the name, or the id'],
      exit: 'jobNotFound',
    });
  }
  throw await notFound(cli, client, reference);
}

async function notFound(cli: Cli, client: Client, reference: string): Promise<CliError> {
  const { items } = await client.jobs.list({ limit: 100 });
  const similar = nearest(
    reference,
    items.map(({ name }) => name),
  );
  return new CliError({
    code: 'job/not-found',
    message: `there is no job "${reference}" in your account`,
    help: [
      ...(similar ? [`a similar job exists:   ${similar}`] : []),
      `see your jobs:          ${cli.program} status --all`,
    ],
    exit: 'jobNotFound',
    retry: 'never',
  });
}
