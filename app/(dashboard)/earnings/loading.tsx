import { PageSkeleton, RowsSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function EarningsLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="mb-6 h-28" />
      <Skeleton className="mb-6 h-48" />
      <RowsSkeleton rows={3} />
    </PageSkeleton>
  );
}
