import { PageSkeleton, RowsSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function JobsLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="mb-4 h-9 w-full max-w-lg" />
      <RowsSkeleton rows={10} />
    </PageSkeleton>
  );
}
