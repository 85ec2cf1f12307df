import { CopyButton } from '@/components/ui/copy-button.tsx';
import { cn } from '@/lib/cn.ts';

interface CodeLineProps {
  /** One command or several lines of them; copied exactly as given. */
  code: string;
  /** What the copy button copies, in words. */
  label: string;
  className?: string;
}

/** A command to paste in a terminal, with a button that copies it. */
export function CodeLine({ code, label, className }: CodeLineProps) {
  return (
    <div
      data-slot="code-line"
      className={cn(
        'flex items-start gap-2 rounded-md bg-log py-1.5 pr-1.5 pl-3.5 text-log-foreground',
        className,
      )}
    >
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard
        tabIndex={0}
        className="min-w-0 flex-1 overflow-x-auto py-1.5 font-mono text-[0.8125rem] leading-relaxed"
      >
        <code>{code}</code>
      </pre>
      <CopyButton
        value={code}
        label={label}
        iconOnly
        variant="ghost"
        className="text-log-muted hover:bg-log-raised hover:text-log-foreground"
      />
    </div>
  );
}
