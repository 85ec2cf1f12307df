import { ChevronRight, CircleX, TriangleAlert } from 'lucide-react';
import Link from 'next/link';
import { Card, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import type { AttentionItem } from '@/types/market-view.ts';

/** What a person should look at. The caller leaves it out when there is nothing. */
export function AttentionList({ items }: { items: AttentionItem[] }) {
  return (
    <Card>
      <CardHeader>
        <CardTitle>Needs attention</CardTitle>
      </CardHeader>
      <ul className="divide-y">
        {items.map((item) => {
          const Icon = item.tone === 'danger' ? CircleX : TriangleAlert;
          return (
            <li key={item.key}>
              <Link
                href={item.href}
                className="flex items-center gap-3 px-4 py-3 text-sm -outline-offset-2 transition-colors hover:bg-accent/45 sm:px-5"
              >
                <Icon
                  aria-hidden
                  className={
                    item.tone === 'danger' ? 'size-4 shrink-0 text-danger' : 'size-4 shrink-0 text-attention'
                  }
                />
                <span className="min-w-0 flex-1">
                  <span className="block truncate font-medium">{item.title}</span>
                  <span className="block text-[0.8125rem] text-muted-foreground">{item.detail}</span>
                </span>
                <ChevronRight aria-hidden className="size-4 shrink-0 text-muted-foreground" />
              </Link>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
