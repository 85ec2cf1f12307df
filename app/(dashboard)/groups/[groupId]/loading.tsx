import { PageSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function GroupLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="mb-6 h-16" />
      <Skeleton className="mb-6 h-28" />
      <Skeleton className="h-96" />
    </PageSkeleton>
  );
}
