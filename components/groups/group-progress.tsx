import { jobStates } from '@computefabric/protocol/job-state';
import type { GroupSummary } from '@computefabric/protocol/user-api/groups';
import { jobStateWord } from '@/components/jobs/job-state-badge.tsx';
import { Progress } from '@/components/ui/progress.tsx';

/** How many members have ended, and how many are in each state. */
export function GroupProgress({ group }: { group: GroupSummary }) {
  const { counts, size } = group;
  const unsuccessful = counts.failed + counts.expired + counts.cancelled;
  const ended = counts.succeeded + unsuccessful;
  const states = jobStates.filter((state) => counts[state] > 0);
  return (
    <div className="min-w-0">
      <Progress
        label={`Members of ${group.name} that have ended`}
        value={ended}
        max={size}
        tone={counts.failed + counts.expired > 0 ? 'danger' : 'primary'}
      />
      <p className="mt-1.5 text-xs text-muted-foreground tabular-nums">
        {ended} of {size} ended
        {states.map((state) => ` · ${counts[state]} ${jobStateWord(state).toLowerCase()}`).join('')}
      </p>
    </div>
  );
}
