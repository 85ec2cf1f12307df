import type { ProviderState } from '@computefabric/protocol/provider-state';
import { CircleDashed, CirclePause, CloudOff, OctagonMinus, Power } from 'lucide-react';
import { StateBadge, type StateLook } from '@/components/shell/state-badge.tsx';

const looks: Record<ProviderState, StateLook> = {
  pending: { icon: CircleDashed, word: 'Pending', tone: 'neutral' },
  online: { icon: Power, word: 'Online', tone: 'success' },
  draining: { icon: CirclePause, word: 'Draining', tone: 'attention' },
  offline: { icon: CloudOff, word: 'Offline', tone: 'neutral' },
  suspended: { icon: OctagonMinus, word: 'Suspended', tone: 'danger' },
};

const meanings: Record<ProviderState, string> = {
  pending: 'Joined, but the agent has not connected yet.',
  online: 'Connected and ready for jobs.',
  draining: 'Finishes what it has and takes nothing new.',
  offline: 'Not connected. It gets no jobs and earns nothing until the agent is back.',
  suspended: 'Kept out by the operator of this market.',
};

export function ProviderStateBadge({ state }: { state: ProviderState }) {
  return <StateBadge look={looks[state]} title={meanings[state]} />;
}

/** What a state means, in a sentence. */
export function providerStateMeaning(state: ProviderState): string {
  return meanings[state];
}
