import { PageSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function SchedulesLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="h-64" />
    </PageSkeleton>
  );
}
