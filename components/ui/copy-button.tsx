'use client';

import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Button, type ButtonProps } from '@/components/ui/button.tsx';
import { showError } from '@/components/ui/show-error.ts';

/** How long the tick stays after copying. */
const confirmationMs = 1_600;

interface CopyButtonProps extends Omit<ButtonProps, 'onClick' | 'value' | 'asChild'> {
  /** What goes to the clipboard. */
  value: string;
  /** What is copied, in words: "Copy job id". Visible when `children` is not given an icon-only size. */
  label: string;
  iconOnly?: boolean;
}

export function CopyButton({
  value,
  label,
  iconOnly = false,
  variant = 'outline',
  size,
  ...props
}: CopyButtonProps) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), confirmationMs);
    return () => clearTimeout(timer);
  }, [copied]);

  async function copy() {
    try {
      await navigator.clipboard.writeText(value);
      setCopied(true);
    } catch {
      // The browser refused (no permission, or plain http away from loopback): say so, there is no other way.
      await showError('Your browser did not allow copying. Select the text and copy it by hand.');
    }
  }

  const Icon = copied ? Check : Copy;
  return (
    <Button
      variant={variant}
      size={size ?? (iconOnly ? 'icon-sm' : 'sm')}
      onClick={() => void copy()}
      aria-label={iconOnly ? label : undefined}
      title={iconOnly ? label : undefined}
      {...props}
    >
      <Icon aria-hidden />
      {iconOnly ? null : label}
      <span role="status" className="sr-only">
        {copied ? 'Copied' : ''}
      </span>
    </Button>
  );
}
