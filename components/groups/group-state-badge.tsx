import type { GroupState } from '@computefabric/protocol/group-kind';
import { Ban, CircleCheck, CircleX, LoaderCircle } from 'lucide-react';
import { StateBadge, type StateLook } from '@/components/shell/state-badge.tsx';

const looks: Record<GroupState, StateLook> = {
  active: { icon: LoaderCircle, word: 'Active', tone: 'running', spins: true },
  succeeded: { icon: CircleCheck, word: 'Succeeded', tone: 'success' },
  failed: { icon: CircleX, word: 'Failed', tone: 'danger' },
  cancelled: { icon: Ban, word: 'Cancelled', tone: 'neutral' },
};

export function GroupStateBadge({ state }: { state: GroupState }) {
  return <StateBadge look={looks[state]} />;
}
