import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import { cn } from '@/lib/cn.ts';

interface EmptyProps {
  icon: LucideIcon;
  title: string;
  /** The title's element: a heading where it is the title of the whole page. */
  titleAs?: 'p' | 'h1';
  children?: ReactNode;
  /** Buttons or links: the useful next step. */
  action?: ReactNode;
  className?: string;
}

/** Says why nothing is here and what to do about it. */
export function Empty({ icon: Icon, title, titleAs: Title = 'p', children, action, className }: EmptyProps) {
  return (
    <div
      data-slot="empty"
      className={cn('weave flex flex-col items-center gap-3 rounded-lg px-6 py-12 text-center', className)}
    >
      <span className="grid size-11 place-items-center rounded-lg border bg-card text-primary shadow-xs">
        <Icon aria-hidden className="size-5" />
      </span>
      <Title className="text-base font-semibold tracking-tight">{title}</Title>
      {children ? <div className="max-w-prose text-sm text-muted-foreground">{children}</div> : null}
      {action ? <div className="mt-2 flex flex-wrap justify-center gap-2">{action}</div> : null}
    </div>
  );
}
