import { Coins, Wallet } from 'lucide-react';
import Link from 'next/link';
import { Tooltip } from '@/components/ui/tooltip.tsx';
import { formatMoney, formatRate } from '@/lib/format-money.ts';
import type { BalanceView } from '@/types/market-view.ts';

/** What is left to spend, in the header of every page, and how fast it goes down. Leads to the page about it. */
export function Balance({ balance }: { balance: BalanceView }) {
  const Icon = balance.playMoney ? Coins : Wallet;
  const explanation = balance.playMoney
    ? `Play money: no payment provider is set up here, so nobody is charged and nobody is paid. ${formatMoney(balance.heldMicros)} is reserved for unfinished jobs.`
    : `${formatMoney(balance.heldMicros)} is reserved for unfinished jobs.`;
  return (
    <Tooltip text={explanation} side="bottom">
      <Link
        href="/billing"
        className="flex h-9 items-center gap-2 rounded-md border bg-card px-2.5 text-sm shadow-xs sm:px-3"
      >
        <Icon aria-hidden className="hidden size-4 text-primary sm:block" />
        <span className="text-xs text-muted-foreground sm:text-sm">
          {balance.playMoney ? 'Play money' : 'Balance'}
        </span>
        <span className="font-medium tabular-nums">{formatMoney(balance.availableMicros)}</span>
        {balance.burnPerHourMicros > 0n ? (
          <span className="hidden text-muted-foreground tabular-nums sm:inline">
            −{formatRate(balance.burnPerHourMicros)}
          </span>
        ) : null}
        <span className="sr-only">. {explanation}</span>
      </Link>
    </Tooltip>
  );
}
