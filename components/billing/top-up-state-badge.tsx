import type { CardRefundState, TopUpState } from '@computefabric/protocol/top-up-state';
import { CircleCheck, CircleX, Hourglass, Undo2, UserRoundCheck } from 'lucide-react';
import { StateBadge, type StateLook } from '@/components/shell/state-badge.tsx';

const looks: Record<TopUpState, StateLook> = {
  open: { icon: Hourglass, word: 'Pending', tone: 'neutral' },
  needs_action: { icon: UserRoundCheck, word: 'Needs you', tone: 'attention' },
  succeeded: { icon: CircleCheck, word: 'Paid', tone: 'success' },
  failed: { icon: CircleX, word: 'Refused', tone: 'danger' },
  canceled: { icon: CircleX, word: 'Given up', tone: 'neutral' },
};

export function TopUpStateBadge({ state }: { state: TopUpState }) {
  return <StateBadge look={looks[state]} />;
}

const refundLooks: Record<CardRefundState, StateLook> = {
  pending: { icon: Hourglass, word: 'On its way', tone: 'neutral' },
  succeeded: { icon: Undo2, word: 'Given back', tone: 'success' },
  failed: { icon: CircleX, word: 'Came back', tone: 'danger' },
};

export function RefundStateBadge({ state }: { state: CardRefundState }) {
  return <StateBadge look={refundLooks[state]} />;
}
