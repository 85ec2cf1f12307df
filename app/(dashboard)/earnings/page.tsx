import type { PayoutObstacle } from '@computefabric/protocol/user-api/earnings';
import { Banknote, Download } from 'lucide-react';
import Link from 'next/link';
import { DisputeDecisions } from '@/components/billing/dispute-decisions.tsx';
import { DisputeStateBadge } from '@/components/billing/dispute-state-badge.tsx';
import { ChangePayouts, RequestPayout, SetUpPayouts } from '@/components/earnings/payout-account.tsx';
import { PayoutStateBadge } from '@/components/earnings/payout-state-badge.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { StatCard } from '@/components/shell/stat-card.tsx';
import { Alert } from '@/components/ui/alert.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Card, CardContent, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { Empty } from '@/components/ui/empty.tsx';
import { Field } from '@/components/ui/field.tsx';
import { Input } from '@/components/ui/input.tsx';
import { typedAmount } from '@/lib/amount.ts';
import { disputeReasonWords } from '@/lib/dispute-words.ts';
import { getEarnings } from '@/lib/earnings.ts';
import { formatDuration } from '@/lib/format-duration.ts';
import { formatMoney, formatMoneyExact } from '@/lib/format-money.ts';
import { requireSession } from '@/lib/session.ts';
import type { EarningsView } from '@/types/earnings-view.ts';

export const metadata = { title: 'Earnings' };

const refreshMs = 5_000;

interface EarningsPageProps {
  searchParams: Promise<{ onboarding?: string | string[] }>;
}

export default async function EarningsPage({ searchParams }: EarningsPageProps) {
  const earnings = await getEarnings(await requireSession());
  const { onboarding } = await searchParams;
  const isMoving =
    earnings.payouts.some(({ state }) => state === 'created' || state === 'sending' || state === 'sent') ||
    (onboarding !== undefined && earnings.account.state !== 'ready');
  return (
    <>
      <LiveRefresh active={isMoving} intervalMs={refreshMs} />
      <PageHeader
        title="Earnings"
        description={`${formatMoney(earnings.todayMicros)} today · ${formatMoney(earnings.weekMicros)} in 7 days · ${formatMoney(earnings.monthMicros)} in 30 days, after fees`}
      />
      <div className="flex flex-col gap-6">
        <Notices earnings={earnings} onboarding={onboarding} />
        <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border bg-border lg:grid-cols-4">
          <StatCard
            label="Payable"
            value={formatMoney(earnings.payableMicros)}
            detail={
              earnings.frozenMicros > 0n
                ? `${formatMoney(earnings.frozenMicros)} more is kept until a contested job is decided`
                : 'may be paid out'
            }
          />
          <StatCard
            label="Held back"
            value={formatMoney(earnings.heldMicros)}
            detail={<Held earnings={earnings} />}
          />
          <StatCard
            label="On its way"
            value={formatMoney(earnings.inTransitMicros)}
            detail="sent, not yet at your bank"
          />
          <StatCard label="Paid out" value={formatMoney(earnings.paidMicros)} detail="so far" />
        </dl>
        <div className="grid grid-cols-1 items-start gap-6 lg:grid-cols-2">
          <Account earnings={earnings} />
          <div className="flex flex-col gap-6">
            <Machines machines={earnings.machines} />
            <Statement />
          </div>
        </div>
        <Payouts payouts={earnings.payouts} />
        {earnings.disputes.length > 0 ? <Contested disputes={earnings.disputes} /> : null}
      </div>
    </>
  );
}

function Notices({
  earnings,
  onboarding,
}: {
  earnings: EarningsView;
  onboarding: string | string[] | undefined;
}) {
  const { account, owedMicros } = earnings;
  return (
    <>
      <p role="status" className="sr-only">
        {onboarding === undefined ? '' : `Payouts: ${accountWords[account.state]}`}
      </p>
      {onboarding === undefined ? null : account.state === 'ready' ? (
        <Alert tone="info" title="Payouts are set up: your earnings go to your bank account." />
      ) : (
        <Alert tone="info" title="The payment provider looks at what you wrote">
          This page follows it. If something was left out, go on with the set-up below.
        </Alert>
      )}
      {account.bankFailure ? (
        <Alert tone="danger" title="Your bank did not take the last payment">
          {account.bankFailure}
        </Alert>
      ) : null}
      {owedMicros > 0n ? (
        <Alert tone="attention" title={`${formatMoney(owedMicros)} is owed to the market`}>
          Earnings of a contested job were taken back after they had been paid out. What your machines earn
          next pays it first; nothing is taken from your bank account.
        </Alert>
      ) : null}
    </>
  );
}

function Held({ earnings }: { earnings: EarningsView }) {
  const { windowSeconds, firstJobs, settledJobs, nextReleaseAt } = earnings;
  if (settledJobs < firstJobs) return `until ${firstJobs} jobs are settled (${settledJobs} are)`;
  if (nextReleaseAt) {
    return (
      <>
        the oldest until <LocalTime at={nextReleaseAt} />
      </>
    );
  }
  return windowSeconds > 0 ? `earnings are kept for ${formatDuration(windowSeconds)}` : 'nothing is kept';
}

const accountWords: Record<EarningsView['account']['state'], string> = {
  none: 'Not set up yet.',
  incomplete: 'The payment provider wants to know more.',
  ready: 'Ready: money goes to your bank account.',
  restricted: 'Stopped: the payment provider wants to know more.',
};

const obstacleWords: Record<PayoutObstacle, string> = {
  'not-configured': 'The operator of this market pays out by other means and writes it down here.',
  'account-missing': 'Nothing can be paid out before payouts are set up.',
  'account-incomplete': 'Nothing can be paid out before the set-up is complete.',
  'under-way': 'A payout is under way; the next one waits for it.',
  'below-minimum': 'There is less than the minimum to pay out.',
};

const scheduleWords = {
  daily: 'Each day at 00:00 UTC',
  weekly: 'Each Monday at 00:00 UTC',
  manual: 'Only when you ask for it',
};

function Account({ earnings }: { earnings: EarningsView }) {
  const { account, obstacle } = earnings;
  return (
    <Card>
      <CardHeader>
        <CardTitle>Payouts to you</CardTitle>
      </CardHeader>
      <CardContent className="flex flex-col gap-4 text-sm">
        {account.configured ? (
          <>
            <p className="font-medium">{accountWords[account.state]}</p>
            {account.state !== 'ready' && account.missing.length > 0 ? (
              <p className="break-words text-muted-foreground">Missing: {account.missing.join(', ')}</p>
            ) : null}
            <dl className="flex flex-col gap-2">
              <Line name="Schedule">{scheduleWords[account.schedule]}</Line>
              <Line name="At least">{formatMoney(account.minimumMicros)}</Line>
              {account.nextPayoutAt ? (
                <Line name="Next">
                  <LocalTime at={account.nextPayoutAt} />
                </Line>
              ) : null}
            </dl>
          </>
        ) : null}
        {obstacle ? <p className="text-muted-foreground">{obstacleWords[obstacle]}</p> : null}
        {account.configured ? (
          <div className="flex flex-wrap gap-2">
            {account.state === 'ready' ? null : <SetUpPayouts isFirst={account.state === 'none'} />}
            {obstacle === null ? <RequestPayout /> : null}
            <ChangePayouts schedule={account.schedule} minimum={typedAmount(account.minimumMicros)} />
          </div>
        ) : null}
      </CardContent>
    </Card>
  );
}

function Machines({ machines }: { machines: EarningsView['machines'] }) {
  return (
    <Card>
      <CardHeader>
        <CardTitle>By machine, 30 days</CardTitle>
      </CardHeader>
      {machines.length === 0 ? (
        <CardContent>
          <p className="text-sm text-muted-foreground">
            None of your machines has earned in the last 30 days.
          </p>
        </CardContent>
      ) : (
        <ul className="divide-y text-sm">
          {machines.map((machine) => (
            <li key={machine.id} className="flex justify-between gap-4 px-4 py-3 sm:px-5">
              <Link
                href={`/gpu-owners/${machine.id}`}
                className="truncate text-primary underline underline-offset-4"
              >
                {machine.name}
              </Link>
              <span className="font-medium tabular-nums">{formatMoneyExact(machine.monthMicros)}</span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Statement() {
  return (
    <Card>
      <CardHeader>
        <CardTitle>Statement</CardTitle>
      </CardHeader>
      <CardContent>
        {/* A plain form: the browser asks for the file itself. */}
        <form action="/api/earnings/statement" method="get" className="flex flex-col gap-4">
          <Field
            name="period"
            label="Month (UTC)"
            hint="Every job, fee, refund and payout, equal to the books to the micro."
          >
            {(control) => (
              <Input {...control} type="month" required defaultValue={new Date().toISOString().slice(0, 7)} />
            )}
          </Field>
          <div className="flex flex-wrap gap-2">
            <Button type="submit" variant="outline" size="sm" name="format" value="csv">
              <Download aria-hidden /> CSV
            </Button>
            <Button type="submit" variant="outline" size="sm" name="format" value="json">
              <Download aria-hidden /> JSON
            </Button>
          </div>
        </form>
      </CardContent>
    </Card>
  );
}

function Payouts({ payouts }: { payouts: EarningsView['payouts'] }) {
  return (
    <Card>
      <CardHeader>
        <CardTitle>Payouts</CardTitle>
      </CardHeader>
      {payouts.length === 0 ? (
        <Empty icon={Banknote} title="Nothing has been paid out yet">
          What your machines earn is kept for a while and can then be paid out.
        </Empty>
      ) : (
        <ul className="divide-y text-sm">
          {payouts.map((payout) => (
            <li
              key={payout.id}
              className="flex flex-wrap items-start justify-between gap-x-6 gap-y-2 px-4 py-3 sm:px-5"
            >
              <div className="min-w-0">
                <p className="font-medium tabular-nums">{formatMoneyExact(payout.amountMicros)}</p>
                <p className="text-[0.8125rem] break-words text-muted-foreground">
                  <LocalTime at={payout.createdAt} />
                  {payout.reference ? ` · ${payout.reference}` : ''}
                  {payout.returnedMicros > 0n
                    ? ` · ${formatMoneyExact(payout.returnedMicros)} came back`
                    : ''}
                  {payout.failure ? ` · ${payout.failure}` : ''}
                </p>
              </div>
              <PayoutStateBadge state={payout.state} isManual={payout.method === 'manual'} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Contested({ disputes }: { disputes: EarningsView['disputes'] }) {
  return (
    <Card>
      <CardHeader>
        <CardTitle>Contested jobs on your machines</CardTitle>
      </CardHeader>
      <ul className="divide-y">
        {disputes.map((dispute) => (
          <li key={dispute.id} className="flex flex-col gap-3 px-4 py-4 sm:px-5">
            <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
              <span className="font-medium">{dispute.jobName}</span>
              <DisputeStateBadge state={dispute.state} />
              <span className="text-muted-foreground">
                {disputeReasonWords[dispute.reason]}, <LocalTime at={dispute.createdAt} />
              </span>
            </p>
            <DisputeDecisions dispute={dispute} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Line({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="flex justify-between gap-4">
      <dt className="text-muted-foreground">{name}</dt>
      <dd className="text-right font-medium">{children}</dd>
    </div>
  );
}
