import Link from 'next/link';
import type { ReactNode } from 'react';
import { cn } from '@/lib/cn.ts';

interface StatCardProps {
  label: string;
  value: ReactNode;
  detail: ReactNode;
  /** Where the number comes from. */
  href?: string;
  tone?: 'plain' | 'danger';
}

/** One number that matters, with the sentence that gives it a meaning. */
export function StatCard({ label, value, detail, href, tone = 'plain' }: StatCardProps) {
  return (
    <div className={cn('relative bg-card px-4 py-4 sm:px-5', href && 'transition-colors hover:bg-accent/45')}>
      <dt className="eyebrow text-muted-foreground">
        {href ? (
          <Link
            href={href}
            className="after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-ring"
          >
            {label}
          </Link>
        ) : (
          label
        )}
      </dt>
      <dd
        className={cn(
          'mt-2 text-[1.75rem] leading-none font-semibold tracking-tight wrap-anywhere',
          tone === 'danger' && 'text-danger',
        )}
      >
        {value}
      </dd>
      <dd className="mt-2 text-[0.8125rem] text-muted-foreground">{detail}</dd>
    </div>
  );
}
