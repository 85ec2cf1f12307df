import { cn } from '@/lib/cn.ts';

/** Two threads over two: the project's mark. It takes the colour of the text around it. */
export function Logo({ className }: { className?: string }) {
  return (
    <svg
      aria-hidden
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="3.4"
      strokeLinecap="butt"
      className={cn('size-6', className)}
    >
      <path d="M7.7 1.5v11.7M7.7 19.2v3.3M16.3 1.5v3.3M16.3 10.8v11.7M1.5 7.7h3.3M10.8 7.7h11.7M1.5 16.3h11.7M19.2 16.3h3.3" />
    </svg>
  );
}
