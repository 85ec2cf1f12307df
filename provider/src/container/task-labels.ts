import type { TaskSpec } from './container-driver.ts';

/**
 * How a container or a network says whose it is. They are what is left to go by when an agent lost its memory,
 * so they are set at creation, in the same request.
 */
export const labels = {
  /** Which agent: two agents on one engine must never touch each other's tasks. */
  agent: 'computefabric.agent',
  lease: 'computefabric.lease',
  job: 'computefabric.job',
  fence: 'computefabric.fence',
  /** On what holds a network namespace for a task that is still to come. */
  holder: 'computefabric.holder',
  /** With an allowlist: the servers, for the next process of the agent. */
  allow: 'computefabric.allow',
} as const;

export function taskLabels(
  agentId: string,
  spec: Pick<TaskSpec, 'leaseId' | 'jobId' | 'fence' | 'network'>,
): Record<string, string> {
  return {
    [labels.agent]: agentId,
    [labels.lease]: spec.leaseId,
    [labels.job]: spec.jobId,
    [labels.fence]: String(spec.fence),
    ...(spec.network.mode === 'allowlist' ? { [labels.allow]: spec.network.allow.join(' ') } : {}),
  };
}

/** Null when they are not complete: then something else made it. */
export function readLabels(
  found: Readonly<Record<string, string>>,
): { leaseId: string; jobId: string; fence: number } | null {
  const leaseId = found[labels.lease];
  const jobId = found[labels.job];
  const fence = Number(found[labels.fence] ?? Number.NaN);
  if (leaseId === undefined || jobId === undefined || !Number.isSafeInteger(fence)) return null;
  return { leaseId, jobId, fence };
}
