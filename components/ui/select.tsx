import { ChevronsUpDown } from 'lucide-react';
import type { ComponentProps } from 'react';
import { controlClasses } from '@/components/ui/input.tsx';
import { cn } from '@/lib/cn.ts';

/** The platform's own select: it works with a keyboard, a screen reader and a phone without our help. */
export function Select({ className, ...props }: ComponentProps<'select'>) {
  return (
    <div data-slot="select" className="relative">
      <select className={cn(controlClasses, 'h-9 appearance-none pr-9', className)} {...props} />
      <ChevronsUpDown
        aria-hidden
        className="pointer-events-none absolute top-1/2 right-3 size-4 -translate-y-1/2 text-muted-foreground"
      />
    </div>
  );
}
