import type { JobState } from '@computefabric/protocol/job-state';
import {
  Ban,
  CircleCheck,
  CircleX,
  Clock,
  HardDriveDownload,
  Hourglass,
  LoaderCircle,
  Save,
  TimerOff,
} from 'lucide-react';
import { StateBadge, type StateLook } from '@/components/shell/state-badge.tsx';

const looks: Record<JobState, StateLook> = {
  blocked: { icon: Hourglass, word: 'Blocked', tone: 'neutral' },
  queued: { icon: Clock, word: 'Queued', tone: 'neutral' },
  preparing: { icon: HardDriveDownload, word: 'Preparing', tone: 'attention' },
  running: { icon: LoaderCircle, word: 'Running', tone: 'running', spins: true },
  finishing: { icon: Save, word: 'Finishing', tone: 'running' },
  succeeded: { icon: CircleCheck, word: 'Succeeded', tone: 'success' },
  failed: { icon: CircleX, word: 'Failed', tone: 'danger' },
  cancelled: { icon: Ban, word: 'Cancelled', tone: 'neutral' },
  expired: { icon: TimerOff, word: 'Expired', tone: 'attention' },
};

/** Whether money moves in a state; null once the job is final, when the receipt says it. */
const billingLabels: Record<JobState, string | null> = {
  blocked: 'not billed',
  queued: 'not billed',
  preparing: 'not billed',
  running: 'billed per second',
  finishing: 'not billed',
  succeeded: null,
  failed: null,
  cancelled: null,
  expired: null,
};

interface JobStateBadgeProps {
  state: JobState;
  /** Say next to the badge whether money moves. */
  withBilling?: boolean;
}

export function JobStateBadge({ state, withBilling = false }: JobStateBadgeProps) {
  const billing = billingLabels[state];
  return (
    <span className="inline-flex flex-wrap items-center gap-x-2 gap-y-1">
      <StateBadge look={looks[state]} />
      {withBilling && billing ? <span className="text-xs text-muted-foreground">{billing}</span> : null}
    </span>
  );
}

export function jobStateWord(state: JobState): string {
  return looks[state].word;
}
