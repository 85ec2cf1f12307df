import type { ComponentProps } from 'react';
import { cn } from '@/lib/cn.ts';

export function Kbd({ className, ...props }: ComponentProps<'kbd'>) {
  return (
    <kbd
      data-slot="kbd"
      className={cn(
        'inline-grid h-5 min-w-5 place-items-center rounded-sm border bg-muted px-1 font-mono text-[0.6875rem] text-muted-foreground',
        className,
      )}
      {...props}
    />
  );
}
