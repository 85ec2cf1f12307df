import { PageSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function JobLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="mb-6 h-10" />
      <Skeleton className="mb-6 h-20" />
      <div className="grid gap-6 xl:grid-cols-[minmax(0,1fr)_20rem]">
        <Skeleton className="h-[32rem]" />
        <Skeleton className="h-64" />
      </div>
    </PageSkeleton>
  );
}
