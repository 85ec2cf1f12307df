import { StatCard } from '@/components/shell/stat-card.tsx';
import { formatDuration } from '@/lib/format-duration.ts';
import { formatMoney, formatRate } from '@/lib/format-money.ts';
import type { BillingView } from '@/types/billing-view.ts';

interface BalanceCardsProps {
  billing: BillingView;
  /** What all running jobs cost together. */
  burnPerHourMicros: bigint;
}

/** What one has, what of it is reserved, and what is open. */
export function BalanceCards({ billing, burnPerHourMicros }: BalanceCardsProps) {
  const { configured, availableMicros, heldMicros, owedMicros, disputedMicros } = billing;
  return (
    <Grid>
      <StatCard
        label="Available"
        value={formatMoney(availableMicros)}
        detail={configured ? 'to spend, or to give back' : 'play money to spend'}
      />
      <StatCard
        label="Reserved"
        value={formatMoney(heldMicros)}
        detail="for unfinished jobs; the rest comes back"
      />
      <StatCard
        label="Spending now"
        value={formatRate(burnPerHourMicros)}
        detail={lasting(availableMicros + heldMicros, burnPerHourMicros)}
      />
      {owedMicros > 0n || disputedMicros > 0n ? (
        <StatCard
          label={owedMicros > 0n ? 'Owed' : 'Claimed back'}
          value={formatMoney(owedMicros > 0n ? owedMicros : disputedMicros)}
          detail={
            owedMicros > 0n
              ? billing.mode === 'per_job'
                ? `of ${formatMoney(billing.creditLimitMicros)} that may be open`
                : 'to be paid before new jobs'
              : 'until the bank has decided'
          }
          tone="danger"
        />
      ) : (
        <StatCard
          label="Pays by"
          value={!configured ? 'Ledger' : billing.mode === 'per_job' ? 'Each job' : 'Balance'}
          detail={
            !configured
              ? 'no payment provider'
              : billing.mode === 'per_job'
                ? 'your card, after each job'
                : 'topped up beforehand'
          }
        />
      )}
    </Grid>
  );
}

function Grid({ children }: { children: React.ReactNode }) {
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border bg-border lg:grid-cols-4">
      {children}
    </dl>
  );
}

function lasting(micros: bigint, perHour: bigint): string {
  if (perHour === 0n) return 'nothing runs';
  return `lasts about ${formatDuration(Number((micros * 3_600n) / perHour))} at this rate`;
}
