import { AutoTopUp } from '@/components/billing/auto-top-up.tsx';
import { BalanceCards } from '@/components/billing/balance-cards.tsx';
import { BillingNotices } from '@/components/billing/billing-notices.tsx';
import { BudgetList } from '@/components/billing/budget-list.tsx';
import { CardList } from '@/components/billing/card-list.tsx';
import { CardPayments } from '@/components/billing/card-payments.tsx';
import { LedgerList } from '@/components/billing/ledger-list.tsx';
import { RefundDialog } from '@/components/billing/refund-dialog.tsx';
import { TopUpForm } from '@/components/billing/top-up-form.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { Alert } from '@/components/ui/alert.tsx';
import { Card, CardContent, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { Tabs } from '@/components/ui/tabs.tsx';
import { typedAmount } from '@/lib/amount.ts';
import { getBilling } from '@/lib/billing.ts';
import { freshTopUp, isMoneyMoving } from '@/lib/billing-freshness.ts';
import { getDb } from '@/lib/db.ts';
import { formatMoney } from '@/lib/format-money.ts';
import { burnPerHour } from '@/lib/queries/get-overview.ts';
import { listLedger } from '@/lib/queries/list-ledger.ts';
import { requireSession } from '@/lib/session.ts';
import type { BillingView } from '@/types/billing-view.ts';

export const metadata = { title: 'Billing' };

/** While a payment or a refund is under way the page follows it. */
const refreshMs = 3_000;
const entriesShown = 25;

interface BillingPageProps {
  searchParams: Promise<{ before?: string | string[] }>;
}

export default async function BillingPage({ searchParams }: BillingPageProps) {
  const session = await requireSession();
  const { before } = await searchParams;
  const cursor = typeof before === 'string' ? before : null;
  const [billing, burnPerHourMicros, history] = await Promise.all([
    getBilling(session),
    burnPerHour(getDb(), session.viewer),
    listLedger(getDb(), session.viewer, cursor, entriesShown),
  ]);
  const now = new Date();
  return (
    <>
      <LiveRefresh active={billing !== null && isMoneyMoving(billing, now)} intervalMs={refreshMs} />
      <PageHeader title="Billing" description={billing ? modeInWords(billing) : undefined} />
      <div className="flex flex-col gap-6">
        {billing ? (
          <>
            <BillingNotices billing={billing} fresh={freshTopUp(billing.topUps, now)} />
            <BalanceCards billing={billing} burnPerHourMicros={burnPerHourMicros} />
            {billing.configured ? <Paying billing={billing} /> : <WithoutCards billing={billing} />}
            <BudgetList budgets={billing.budgets} events={billing.budgetEvents} keys={billing.keys} />
          </>
        ) : (
          <Alert tone="attention" title="The market does not answer at the moment" live>
            Balance, cards and budgets are shown again as soon as it does. Your history below comes from its
            books.
          </Alert>
        )}
        <Card id="history" aria-label="History">
          <Tabs
            label="History"
            tabs={[
              {
                key: 'ledger',
                title: 'Every movement',
                content: <LedgerList page={history} isFirst={cursor === null} />,
              },
              ...(billing?.configured
                ? [
                    {
                      key: 'cards',
                      title: 'Card payments',
                      content: <CardPayments topUps={billing.topUps} refunds={billing.refunds} />,
                    },
                  ]
                : []),
            ]}
          />
        </Card>
      </div>
    </>
  );
}

function modeInWords({ configured, mode }: BillingView): string {
  if (!configured) return 'Play money: this market has no payment provider, so nobody is charged.';
  return mode === 'per_job'
    ? 'Your card is charged after each job. Small amounts are gathered until a card can be charged for them.'
    : 'Jobs are paid from a balance that you top up.';
}

/** Everything about cards. */
function Paying({ billing }: { billing: BillingView }) {
  const { autoTopUp } = billing;
  return (
    <div className="grid grid-cols-1 items-start gap-6 lg:grid-cols-2">
      <Card>
        <CardHeader>
          <CardTitle>Top up</CardTitle>
        </CardHeader>
        <CardContent className="flex flex-col gap-5">
          {billing.mode === 'per_job' ? (
            <p className="text-sm text-muted-foreground">
              Not needed while you have a card here: it is charged after each job. What you pay in is used
              first.
            </p>
          ) : null}
          <TopUpForm />
          {billing.availableMicros > 0n ? <RefundDialog /> : null}
        </CardContent>
      </Card>
      <div className="flex flex-col gap-6">
        <Card>
          <CardHeader>
            <CardTitle>Cards</CardTitle>
          </CardHeader>
          <CardContent>
            <CardList cards={billing.cards} known={billing.cardsKnown} />
          </CardContent>
        </Card>
        {billing.mode === 'prepaid' ? (
          <Card>
            <CardHeader>
              <CardTitle>Automatic top-up</CardTitle>
            </CardHeader>
            <CardContent>
              <AutoTopUp
                autoTopUp={autoTopUp}
                hasCard={billing.cards.length > 0}
                typed={{
                  threshold: autoTopUp ? typedAmount(autoTopUp.thresholdMicros) : '5',
                  amount: autoTopUp ? typedAmount(autoTopUp.amountMicros) : '20',
                  ceiling: autoTopUp ? typedAmount(autoTopUp.ceilingMicros) : '100',
                }}
              />
            </CardContent>
          </Card>
        ) : null}
      </div>
    </div>
  );
}

/** Without a payment provider: what the numbers mean. */
function WithoutCards({ billing }: { billing: BillingView }) {
  return (
    <Card>
      <CardHeader>
        <CardTitle>The built-in ledger</CardTitle>
      </CardHeader>
      <CardContent className="flex flex-col gap-3 text-sm">
        <p>
          Every account of this market was given play money to begin with; you have{' '}
          {formatMoney(billing.availableMicros)} of it left. Jobs are metered, reserved and billed exactly as
          with real money, so limits, budgets and receipts work as they will then.
        </p>
        <p className="text-muted-foreground">
          No card can be entered here and nobody is charged. The operator of the market switches real money on
          with the key of a payment provider.
        </p>
      </CardContent>
    </Card>
  );
}
