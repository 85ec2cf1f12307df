'use client';

import { ChevronRight } from 'lucide-react';
import Link from 'next/link';
import { usePathname } from 'next/navigation';

const labels: Record<string, string> = {
  dashboard: 'Overview',
  jobs: 'Jobs',
  groups: 'Groups',
  schedules: 'Schedules',
  new: 'New job',
  'gpu-owners': 'GPU owners',
  billing: 'Billing',
  earnings: 'Earnings',
};

/** Where this page is, from its address. The last part is the page itself and no link. */
export function Breadcrumb() {
  const parts = usePathname().split('/').filter(Boolean);
  return (
    <nav aria-label="Breadcrumb" className="min-w-0">
      <ol className="flex min-w-0 items-center gap-1.5 text-sm">
        {parts.map((part, index) => {
          const last = index === parts.length - 1;
          const href = `/${parts.slice(0, index + 1).join('/')}`;
          return (
            <li
              key={href}
              className={
                last ? 'flex min-w-0 items-center gap-1.5' : 'hidden shrink-0 items-center gap-1.5 sm:flex'
              }
            >
              {index > 0 ? (
                <ChevronRight
                  aria-hidden
                  className="hidden size-3.5 shrink-0 text-muted-foreground sm:block"
                />
              ) : null}
              {last ? (
                <span aria-current="page" className="truncate font-medium">
                  {labelOf(part)}
                </span>
              ) : (
                <Link
                  href={href}
                  className="shrink-0 text-muted-foreground hover:text-foreground hover:underline"
                >
                  {labelOf(part)}
                </Link>
              )}
            </li>
          );
        })}
      </ol>
    </nav>
  );
}

/** An id is shown by its random end, which is what tells two apart; its start is a date. */
function labelOf(part: string): string {
  const id = /^(job|group|prov)_.+(.{7})$/.exec(part);
  if (id) return `${id[1]}…${id[2]}`;
  return labels[part] ?? decodeURIComponent(part);
}
