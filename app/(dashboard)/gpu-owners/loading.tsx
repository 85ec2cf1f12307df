import { PageSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function GpuOwnersLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="mb-6 h-56" />
      <Skeleton className="h-96" />
    </PageSkeleton>
  );
}
