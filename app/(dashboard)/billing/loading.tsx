import { PageSkeleton, RowsSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function BillingLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="mb-6 h-28" />
      <div className="mb-6 grid grid-cols-1 gap-6 xl:grid-cols-2">
        <Skeleton className="h-80" />
        <Skeleton className="h-80" />
      </div>
      <RowsSkeleton rows={5} />
    </PageSkeleton>
  );
}
