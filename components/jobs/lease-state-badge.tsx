import type { LeaseState } from '@computefabric/protocol/lease-state';
import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleX,
  LoaderCircle,
  TimerOff,
  Undo2,
  Unplug,
  WifiOff,
} from 'lucide-react';
import { StateBadge, type StateLook } from '@/components/shell/state-badge.tsx';

const looks: Record<LeaseState, StateLook> = {
  offered: { icon: CircleDashed, word: 'Offered', tone: 'neutral' },
  active: { icon: LoaderCircle, word: 'Active', tone: 'running', spins: true },
  silent: { icon: WifiOff, word: 'Silent', tone: 'attention' },
  releasing: { icon: CircleCheck, word: 'Cleaning up', tone: 'neutral' },
  released: { icon: CircleCheck, word: 'Done', tone: 'neutral' },
  rejected: { icon: Ban, word: 'Declined', tone: 'attention' },
  withdrawn: { icon: Undo2, word: 'Withdrawn', tone: 'neutral' },
  expired: { icon: TimerOff, word: 'Unanswered', tone: 'attention' },
  lost: { icon: Unplug, word: 'Lost', tone: 'danger' },
};

/** State of one try, for its row in the list of tries. */
export function LeaseStateBadge({ state, failed }: { state: LeaseState; failed: boolean }) {
  const look = looks[state];
  // A try that is over on the machine may still have gone wrong: then it must not look fine.
  const ended = state === 'releasing' || state === 'released';
  return <StateBadge look={ended && failed ? { ...look, icon: CircleX, tone: 'danger' } : look} />;
}
