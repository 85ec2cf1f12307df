import type { PayoutState } from '@computefabric/protocol/payout-state';
import { CircleCheck, CircleX, Hourglass, Send, Undo2 } from 'lucide-react';
import { StateBadge, type StateLook } from '@/components/shell/state-badge.tsx';

const looks: Record<PayoutState, StateLook> = {
  created: { icon: Hourglass, word: 'Set out', tone: 'neutral' },
  sending: { icon: Hourglass, word: 'Being sent', tone: 'neutral' },
  sent: { icon: Send, word: 'Sent to your account', tone: 'running' },
  paid: { icon: CircleCheck, word: 'At your bank', tone: 'success' },
  failed: { icon: CircleX, word: 'Refused', tone: 'danger' },
  reversed: { icon: Undo2, word: 'Taken back', tone: 'attention' },
};

/** `by other means` is the operator's word for it: nothing of ours has seen a bank. */
export function PayoutStateBadge({ state, isManual }: { state: PayoutState; isManual: boolean }) {
  const look = looks[state];
  return <StateBadge look={isManual && state === 'paid' ? { ...look, word: 'Paid' } : look} />;
}
