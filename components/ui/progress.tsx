import { cn } from '@/lib/cn.ts';

interface ProgressProps {
  /** What is measured, for screen readers. */
  label: string;
  value: number;
  max: number;
  tone?: 'primary' | 'attention' | 'danger';
  className?: string;
}

const fills = { primary: 'fill-primary', attention: 'fill-attention', danger: 'fill-danger' };

/** A thin bar. Drawn as SVG because the width of a block would need a style attribute, which our CSP refuses. */
export function Progress({ label, value, max, tone = 'primary', className }: ProgressProps) {
  const part = max > 0 ? Math.min(1, Math.max(0, value / max)) : 0;
  return (
    <div
      data-slot="progress"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(part * 100)}
      className={cn('h-1.5 w-full overflow-hidden rounded-full bg-neutral-surface', className)}
    >
      <svg aria-hidden className="block size-full" preserveAspectRatio="none" viewBox="0 0 100 1">
        <rect className={fills[tone]} width={part * 100} height={1} />
      </svg>
    </div>
  );
}
