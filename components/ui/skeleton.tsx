import type { ComponentProps } from 'react';
import { cn } from '@/lib/cn.ts';

/** A grey block in the place of something that is on its way. Invisible for the first 300 ms. */
export function Skeleton({ className, ...props }: ComponentProps<'div'>) {
  return (
    <div
      data-slot="skeleton"
      aria-hidden
      className={cn('animate-pulse rounded-md bg-neutral-surface', className)}
      {...props}
    />
  );
}
