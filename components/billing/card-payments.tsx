import type { TopUpMethod } from '@computefabric/protocol/top-up-state';
import { RefundStateBadge, TopUpStateBadge } from '@/components/billing/top-up-state-badge.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { formatMoney } from '@/lib/format-money.ts';
import type { RefundItem, TopUpItem } from '@/types/billing-view.ts';

/** Every charge of a card and every refund to one, newest first. */
export function CardPayments({ topUps, refunds }: { topUps: TopUpItem[]; refunds: RefundItem[] }) {
  const lines = [
    ...topUps.map((topUp) => ({ kind: 'charge' as const, ...topUp })),
    ...refunds.map((refund) => ({ kind: 'refund' as const, ...refund })),
  ].toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  if (lines.length === 0) {
    return <p className="px-5 py-6 text-sm text-muted-foreground">No card has been charged yet.</p>;
  }
  return (
    <ul className="divide-y">
      {lines.map((line) => (
        <li
          key={line.id}
          className="flex flex-wrap items-start justify-between gap-x-6 gap-y-1.5 px-5 py-3 text-sm"
        >
          <div className="min-w-0">
            <p className="font-medium">
              {line.kind === 'charge' ? methods[line.method] : 'Back to the card'}
            </p>
            <p className="text-[0.8125rem] text-muted-foreground">
              <LocalTime at={line.createdAt} />
              {line.failure ? `. ${line.failure}` : ''}
            </p>
            {line.kind === 'charge' && line.url !== null ? (
              <a href={line.url} className="text-[0.8125rem] text-primary underline underline-offset-4">
                {line.state === 'needs_action' ? 'Confirm the payment' : 'Go on paying'}
              </a>
            ) : null}
          </div>
          <div className="flex items-center gap-3">
            {line.kind === 'charge' ? (
              <TopUpStateBadge state={line.state} />
            ) : (
              <RefundStateBadge state={line.state} />
            )}
            <span className="font-medium tabular-nums">
              {line.kind === 'charge' ? '' : '−'}
              {formatMoney(line.amountMicros)}
            </span>
          </div>
        </li>
      ))}
    </ul>
  );
}

const methods: Record<TopUpMethod, string> = {
  checkout: 'Top-up',
  element: 'Top-up',
  automatic: 'Automatic top-up',
  per_job: 'Charge for ended jobs',
};
