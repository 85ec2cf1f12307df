import type { PaymentState } from '@computefabric/protocol/payment-state';
import { CircleCheck, CircleX, Hourglass, MessageCircleWarning, Undo2 } from 'lucide-react';
import { StateBadge, type StateLook } from '@/components/shell/state-badge.tsx';

const looks: Record<PaymentState, StateLook> = {
  pending: { icon: Hourglass, word: 'Reserved', tone: 'neutral' },
  succeeded: { icon: CircleCheck, word: 'Paid', tone: 'success' },
  failed: { icon: CircleX, word: 'Payment failed', tone: 'danger' },
  refunded: { icon: Undo2, word: 'Refunded', tone: 'neutral' },
  disputed: { icon: MessageCircleWarning, word: 'Disputed', tone: 'attention' },
};

export function PaymentStateBadge({ state }: { state: PaymentState }) {
  return <StateBadge look={looks[state]} />;
}
