'use client';

import { CircleCheck, Info, OctagonX, TriangleAlert } from 'lucide-react';
import { useTheme } from 'next-themes';
import { Toaster as Sonner } from 'sonner';

/** Short notices in a polite live region. `richColors` stays off: its green fails the contrast rule. */
export function Toaster() {
  const { theme } = useTheme();
  return (
    <Sonner
      theme={theme === 'light' || theme === 'dark' ? theme : 'system'}
      position="bottom-right"
      icons={{
        success: <CircleCheck className="size-4 text-success" />,
        info: <Info className="size-4 text-running" />,
        warning: <TriangleAlert className="size-4 text-attention" />,
        error: <OctagonX className="size-4 text-danger" />,
      }}
      toastOptions={{
        classNames: {
          toast: '!bg-popover !text-popover-foreground !border-border !rounded-lg !shadow-lg !font-sans',
          description: '!text-muted-foreground',
        },
      }}
    />
  );
}
