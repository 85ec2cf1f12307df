import type { JobRow } from '../jobs/job.store.ts';
import type { GroupRow } from '../jobs/group-reads.store.ts';

/**
 * What a member of an array or a gang is told of its place, as variables of its program.
 *
 * @param peers the machines of a gang by rank, as their owners call them; null where a rank is on none now
 */
export function memberVariables(
  job: Pick<JobRow, 'groupIndex'>,
  group: Pick<GroupRow, 'id' | 'kind' | 'size'> | null,
  peers: readonly (string | null)[],
): Record<string, string> {
  if (group === null) return {};
  const index = String(job.groupIndex ?? 0);
  const size = String(group.size);
  switch (group.kind) {
    case 'array':
      return {
        COMPUTEFABRIC_GROUP_ID: group.id,
        COMPUTEFABRIC_ARRAY_INDEX: index,
        COMPUTEFABRIC_ARRAY_SIZE: size,
      };
    case 'gang':
      return {
        COMPUTEFABRIC_GROUP_ID: group.id,
        COMPUTEFABRIC_RANK: index,
        COMPUTEFABRIC_WORLD_SIZE: size,
        COMPUTEFABRIC_PEERS: JSON.stringify(peers),
      };
  }
}
