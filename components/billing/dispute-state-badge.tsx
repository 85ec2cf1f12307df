import type { DisputeState } from '@computefabric/protocol/dispute';
import { CircleCheck, CircleX, Hourglass } from 'lucide-react';
import { StateBadge, type StateLook } from '@/components/shell/state-badge.tsx';

const looks: Record<DisputeState, StateLook> = {
  open: { icon: Hourglass, word: 'With the operator', tone: 'attention' },
  granted: { icon: CircleCheck, word: 'Granted', tone: 'success' },
  denied: { icon: CircleX, word: 'Denied', tone: 'neutral' },
};

export function DisputeStateBadge({ state }: { state: DisputeState }) {
  return <StateBadge look={looks[state]} />;
}
