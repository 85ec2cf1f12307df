import { Download } from 'lucide-react';
import Link from 'next/link';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Button } from '@/components/ui/button.tsx';
import { cn } from '@/lib/cn.ts';
import { formatMoneyExact } from '@/lib/format-money.ts';
import type { LedgerItem, LedgerPage } from '@/types/billing-view.ts';

/** Every movement of the viewer's money with what it was for; exact, because these are the books. */
export function LedgerList({ page, isFirst }: { page: LedgerPage; isFirst: boolean }) {
  return (
    <>
      {page.items.length === 0 ? (
        <p className="px-5 py-6 text-sm text-muted-foreground">
          {isFirst ? 'No money has moved yet.' : 'There is nothing older.'}
        </p>
      ) : (
        <ul className="divide-y">
          {page.items.map((item) => (
            <Entry key={item.id} item={item} />
          ))}
        </ul>
      )}
      <div className="flex flex-wrap items-center gap-2 border-t px-4 py-3 sm:px-5">
        <Button asChild variant="outline" size="sm">
          <a href="/api/billing/history?format=csv" download>
            <Download aria-hidden /> All as CSV
          </a>
        </Button>
        <Button asChild variant="outline" size="sm">
          <a href="/api/billing/history?format=json" download>
            <Download aria-hidden /> All as JSON
          </a>
        </Button>
        <span className="ml-auto flex gap-2">
          {isFirst ? null : (
            <Button asChild variant="ghost" size="sm">
              <Link href="/billing#history">Newest</Link>
            </Button>
          )}
          {page.nextCursor === null ? null : (
            <Button asChild variant="ghost" size="sm">
              <Link href={`/billing?before=${encodeURIComponent(page.nextCursor)}#history`}>Older</Link>
            </Button>
          )}
        </span>
      </div>
    </>
  );
}

function Entry({ item }: { item: LedgerItem }) {
  return (
    <li className="flex items-start justify-between gap-6 px-5 py-3 text-sm">
      <div className="min-w-0">
        <p>{item.title}</p>
        <p className="flex flex-wrap gap-x-2 text-[0.8125rem] text-muted-foreground">
          <LocalTime at={item.at} />
          {item.job ? (
            <Link
              href={`/jobs/${item.job.id}`}
              className="truncate text-primary underline underline-offset-4"
            >
              {item.job.name}
            </Link>
          ) : null}
        </p>
      </div>
      <div className="shrink-0 text-right">
        <p
          className={cn(
            'tabular-nums',
            item.effect === 'within' ? 'text-muted-foreground' : 'font-medium',
            item.effect === 'in' && 'text-success',
          )}
        >
          {signs[item.effect]}
          {formatMoneyExact(item.amountMicros)}
        </p>
        {item.effect === 'within' ? <p className="text-xs text-muted-foreground">stays yours</p> : null}
      </div>
    </li>
  );
}

const signs = { in: '+', out: '−', within: '' };
