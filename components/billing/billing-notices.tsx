import { PayButton } from '@/components/billing/pay-button.tsx';
import { Alert } from '@/components/ui/alert.tsx';
import { formatMoney } from '@/lib/format-money.ts';
import type { BillingView, TopUpItem } from '@/types/billing-view.ts';

interface BillingNoticesProps {
  billing: BillingView;
  /** The newest top-up by a person, while it is news. */
  fresh: TopUpItem | null;
}

/** What one must know before everything else: money under way, and why nothing can be submitted. */
export function BillingNotices({ billing, fresh }: BillingNoticesProps) {
  const openClaims = billing.cardDisputes.filter(({ state }) => state === 'open');
  const exhausted = billing.budgets.filter((budget) => budget.exhausted);
  return (
    <>
      {/* Always there, so that a screen reader hears of what changes in it. */}
      <p role="status" className="sr-only">
        {fresh ? freshTitle(fresh) : ''}
      </p>
      {fresh ? <FreshTopUp topUp={fresh} /> : null}
      {billing.frozenBy === 'dispute' ? (
        <Alert tone="danger" title="Your account is frozen: a card payment is being claimed back">
          Nothing new can be submitted and nothing is given back until the bank has decided. What runs goes on
          to its end.
        </Alert>
      ) : null}
      {billing.frozenBy === 'unpaid' ? (
        <Alert
          tone="danger"
          title={`Nothing new can be submitted until ${formatMoney(billing.owedMicros)} is paid`}
        >
          <p className="mb-2">
            {billing.cards.length > 0
              ? 'Top up, or let your card be charged again.'
              : 'Top up, or add a card that can be charged.'}
          </p>
          {billing.cards.length > 0 ? <PayButton /> : null}
        </Alert>
      ) : null}
      {openClaims.map((claim) => (
        <Alert
          key={claim.id}
          tone="attention"
          title={`${formatMoney(claim.amountMicros)} is claimed back at the bank (${claim.reason.replaceAll('_', ' ')})`}
        >
          It is kept apart until the bank decides.{' '}
          {claim.evidenceSentAt
            ? 'The record of your jobs was sent as evidence.'
            : 'The record of your jobs is sent as evidence.'}{' '}
          If this was a mistake, ask your bank to take the claim back.
        </Alert>
      ))}
      {billing.unpaid.map((charge) => (
        <Alert
          key={charge.id}
          tone="attention"
          title={
            charge.state === 'needs_action'
              ? `Your bank wants you to confirm a payment of ${formatMoney(charge.amountMicros)}`
              : `Your card was refused for ${formatMoney(charge.amountMicros)}`
          }
        >
          {charge.failure ? <p>{charge.failure}</p> : null}
          {charge.url === null ? null : (
            <a href={charge.url} className="font-medium underline underline-offset-4">
              Confirm the payment
            </a>
          )}
        </Alert>
      ))}
      {exhausted.length > 0 ? (
        <Alert tone="attention" title="A budget is used up">
          New jobs are refused and queued ones wait. Raise it or remove it below, and they go on by
          themselves.
        </Alert>
      ) : null}
    </>
  );
}

function FreshTopUp({ topUp }: { topUp: TopUpItem }) {
  const title = freshTitle(topUp);
  switch (topUp.state) {
    case 'succeeded':
      return <Alert tone="info" title={title} />;
    case 'failed':
      return (
        <Alert tone="danger" title={title}>
          {topUp.failure}
        </Alert>
      );
    case 'canceled':
      return null;
    case 'open':
    case 'needs_action':
      return (
        <Alert tone="info" title={title}>
          If you have paid, it is here in a few seconds, by itself.{' '}
          {topUp.url === null ? null : (
            <>
              Otherwise{' '}
              <a href={topUp.url} className="font-medium underline underline-offset-4">
                go on paying
              </a>
              .
            </>
          )}
        </Alert>
      );
  }
}

function freshTitle({ state, amountMicros }: TopUpItem): string {
  const amount = formatMoney(amountMicros);
  switch (state) {
    case 'succeeded':
      return `${amount} has arrived: your top-up is paid.`;
    case 'failed':
      return `The card was refused for ${amount}.`;
    case 'canceled':
      return '';
    case 'open':
    case 'needs_action':
      return `A top-up of ${amount} is not finished.`;
  }
}
