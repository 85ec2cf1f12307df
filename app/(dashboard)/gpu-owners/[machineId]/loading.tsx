import { PageSkeleton } from '@/components/shell/page-skeleton.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';

export default function MachineLoading() {
  return (
    <PageSkeleton>
      <Skeleton className="h-96" />
    </PageSkeleton>
  );
}
