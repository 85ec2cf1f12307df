import { BellRing, Gauge, Plus } from 'lucide-react';
import { BudgetDialog } from '@/components/billing/budget-dialog.tsx';
import { RemoveBudget } from '@/components/billing/remove-budget.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Badge } from '@/components/ui/badge.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Card, CardContent, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { Progress } from '@/components/ui/progress.tsx';
import { typedAmount } from '@/lib/amount.ts';
import { formatMoney } from '@/lib/format-money.ts';
import type { BudgetEventItem, BudgetItem } from '@/types/billing-view.ts';

/** Of what one was told, the latest. */
const shownEvents = 5;

interface BudgetListProps {
  budgets: BudgetItem[];
  events: BudgetEventItem[];
  keys: { id: string; name: string }[];
}

/** Limits on spending: what is used and reserved of them, and what happens at their end. */
export function BudgetList({ budgets, events, keys }: BudgetListProps) {
  return (
    <Card>
      <CardHeader>
        <CardTitle>Budgets</CardTitle>
        <BudgetDialog
          title="New budget"
          keys={keys}
          initial={{ apiKeyId: '', period: 'month', amount: '', onLimit: 'stop-new' }}
          trigger={
            <Button variant="outline" size="sm">
              <Plus aria-hidden /> Set a budget
            </Button>
          }
        />
      </CardHeader>
      {budgets.length === 0 ? (
        <CardContent>
          <p className="flex items-start gap-2.5 text-sm text-muted-foreground">
            <Gauge aria-hidden className="mt-0.5 size-4 shrink-0" />
            No budget. Jobs may spend all that is available, each at most what its own limits allow.
          </p>
        </CardContent>
      ) : (
        <ul className="divide-y">
          {budgets.map((budget) => (
            <Budget key={budget.id} budget={budget} />
          ))}
        </ul>
      )}
      {events.length > 0 ? (
        <div className="border-t px-4 py-4 sm:px-5">
          <h3 className="eyebrow mb-2 text-muted-foreground">What you were told</h3>
          <ul className="flex flex-col gap-1.5 text-[0.8125rem]">
            {events.slice(0, shownEvents).map((event) => (
              <li key={event.key} className="flex items-start gap-2">
                <BellRing aria-hidden className="mt-0.5 size-3.5 shrink-0 text-muted-foreground" />
                <span className="min-w-0">
                  {event.message} <LocalTime at={event.at} className="text-muted-foreground" />
                </span>
              </li>
            ))}
          </ul>
        </div>
      ) : null}
    </Card>
  );
}

function Budget({ budget }: { budget: BudgetItem }) {
  const { whose, period, percent, amountMicros, usedMicros, reservedMicros, leftMicros, exhausted } = budget;
  const name = `${whose}, ${period === 'month' ? 'each month' : 'in all'}`;
  return (
    <li className="flex flex-col gap-2 px-4 py-4 text-sm sm:px-5">
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1">
        <span className="flex flex-wrap items-center gap-2 font-medium">
          {name}
          {exhausted ? <Badge tone="danger">used up</Badge> : null}
        </span>
        <span className="tabular-nums">
          {formatMoney(usedMicros)} of {formatMoney(amountMicros)} ({percent} %)
        </span>
      </div>
      <Progress
        label={`Used of the budget: ${name}`}
        value={Number(usedMicros)}
        max={Number(amountMicros)}
        tone={percent >= 100 ? 'danger' : percent >= 80 ? 'attention' : 'primary'}
      />
      <p className="text-[0.8125rem] text-muted-foreground">
        {formatMoney(reservedMicros)} reserved for unfinished jobs, {formatMoney(leftMicros)} left for new
        ones. At the limit new jobs are refused, queued ones wait, and what runs{' '}
        {budget.onLimit === 'stop-new' ? 'goes on to its end' : 'is stopped with its grace time'}.
      </p>
      <div className="mt-1 flex flex-wrap gap-2">
        <BudgetDialog
          title={`Change the budget: ${name}`}
          keys={null}
          initial={{
            apiKeyId: budget.apiKeyId ?? '',
            period,
            amount: typedAmount(amountMicros),
            onLimit: budget.onLimit,
          }}
          trigger={
            <Button
              variant={exhausted ? 'default' : 'outline'}
              size="sm"
              aria-label={`Raise or change: ${name}`}
            >
              {exhausted ? 'Raise it' : 'Change'}
            </Button>
          }
        />
        <RemoveBudget id={budget.id} name={name} />
      </div>
    </li>
  );
}
