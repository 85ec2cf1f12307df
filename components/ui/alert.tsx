import { cva } from 'class-variance-authority';
import { CircleAlert, Info, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { cn } from '@/lib/cn.ts';

type AlertTone = 'info' | 'attention' | 'danger';

const alertVariants = cva('flex gap-3 rounded-lg px-4 py-3 text-sm', {
  variants: {
    tone: {
      info: 'bg-running-surface text-running',
      attention: 'bg-attention-surface text-attention',
      danger: 'bg-danger-surface text-danger',
    },
  },
});

const icons = { info: Info, attention: TriangleAlert, danger: CircleAlert };

interface AlertProps {
  tone: AlertTone;
  title: string;
  children?: ReactNode;
  className?: string;
  /** Announce it as soon as it appears: for something that just went wrong. */
  live?: boolean;
}

export function Alert({ tone, title, children, className, live = false }: AlertProps) {
  const Icon = icons[tone];
  return (
    <div
      data-slot="alert"
      role={live ? 'alert' : undefined}
      className={cn(alertVariants({ tone }), className)}
    >
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div className="min-w-0">
        <p className="font-medium">{title}</p>
        {children ? <div className="mt-1 leading-relaxed break-words text-foreground">{children}</div> : null}
      </div>
    </div>
  );
}
