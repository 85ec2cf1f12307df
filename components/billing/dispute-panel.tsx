import { DisputeDecisions } from '@/components/billing/dispute-decisions.tsx';
import { DisputeStateBadge } from '@/components/billing/dispute-state-badge.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Card, CardContent, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { disputeReasonWords } from '@/lib/dispute-words.ts';
import type { DisputeItem } from '@/types/receipt-view.ts';

/** A contested job: what was said, what the market's records say, what was decided. */
export function DisputePanel({ dispute }: { dispute: DisputeItem }) {
  return (
    <Card id="dispute">
      <CardHeader>
        <CardTitle>Contested</CardTitle>
        <span role="status">
          <DisputeStateBadge state={dispute.state} />
        </span>
      </CardHeader>
      <CardContent className="flex flex-col gap-4">
        <div className="text-sm">
          <p className="font-medium">
            {disputeReasonWords[dispute.reason]}{' '}
            <span className="font-normal text-muted-foreground">
              <LocalTime at={dispute.createdAt} />
            </span>
          </p>
          <p className="mt-1 break-words whitespace-pre-wrap">{dispute.message}</p>
        </div>
        <DisputeDecisions dispute={dispute} />
        {dispute.record && dispute.record.length > 0 ? (
          <details className="text-sm">
            <summary className="min-h-6 font-medium">What the market's records said</summary>
            <ul className="mt-2 flex list-disc flex-col gap-1 pl-5 text-[0.8125rem] text-muted-foreground">
              {dispute.record.map((sentence) => (
                <li key={sentence}>{sentence}</li>
              ))}
            </ul>
          </details>
        ) : null}
      </CardContent>
    </Card>
  );
}
