import type { ComponentProps } from 'react';
import { cn } from '@/lib/cn.ts';

export function Label({ className, htmlFor, ...props }: ComponentProps<'label'> & { htmlFor: string }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the caller's htmlFor names the control
    <label
      data-slot="label"
      htmlFor={htmlFor}
      className={cn('text-sm leading-none font-medium select-none', className)}
      {...props}
    />
  );
}
