import { LocalTime } from '@/components/shell/local-time.tsx';
import { disputeBlameWords } from '@/lib/dispute-words.ts';
import { formatMoneyExact } from '@/lib/format-money.ts';
import type { DisputeItem } from '@/types/receipt-view.ts';

/** What was decided and why; both sides read the same words. */
export function DisputeDecisions({ dispute }: { dispute: Pick<DisputeItem, 'decisions'> }) {
  if (dispute.decisions.length === 0) {
    return (
      <p className="text-sm text-muted-foreground">
        No rule decides it, so the operator of the market looks at it. Until then its price is kept apart.
      </p>
    );
  }
  return (
    <ol className="flex flex-col gap-3 text-sm">
      {dispute.decisions.map((decision) => (
        <li key={decision.at.toISOString()} className="border-l-2 pl-3">
          <p className="font-medium">
            {decision.outcome === 'granted'
              ? `Granted: ${formatMoneyExact(decision.refundMicros)} given back`
              : 'Denied: the price stands'}
          </p>
          <p className="mt-0.5">{decision.explanation}</p>
          <p className="mt-0.5 text-[0.8125rem] text-muted-foreground">
            {decision.rule === null ? 'Decided by the operator' : `Decided by the rule ${decision.rule}`},{' '}
            <LocalTime at={decision.at} />.{' '}
            {decision.outcome === 'granted' ? disputeBlameWords[decision.blame] : ''}
          </p>
        </li>
      ))}
    </ol>
  );
}
