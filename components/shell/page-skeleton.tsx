import { Card } from '@/components/ui/card.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

/**
 * The shape of a page before its data is here. It stays invisible for the first 300 ms, since most pages are
 * there by then and a flash of grey would only make them look slower.
 */
export function PageSkeleton({ children }: { children: React.ReactNode }) {
  return (
    <div className="animate-in [animation-delay:300ms] [animation-duration:150ms] [animation-fill-mode:backwards] fade-in-0">
      <span role="status" className="sr-only">
        Loading
      </span>
      <Skeleton className="mb-6 h-8 w-44" />
      {children}
    </div>
  );
}

export function RowsSkeleton({ rows }: { rows: number }) {
  return (
    <Card>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="flex items-center gap-6 border-b px-5 py-4 last:border-0">
          <Skeleton className="h-8 w-48 max-w-[40%]" />
          <Skeleton className="h-5 w-24" />
          <Skeleton className="ml-auto hidden h-5 w-32 sm:block" />
          <Skeleton className="hidden h-5 w-16 sm:block" />
        </div>
      ))}
    </Card>
  );
}
