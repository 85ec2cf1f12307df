import { PageSkeleton, RowsSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function OverviewLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="mb-6 h-32" />
      <RowsSkeleton rows={8} />
    </PageSkeleton>
  );
}
