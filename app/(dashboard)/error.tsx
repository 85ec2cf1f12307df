'use client';

import { useRouter } from 'next/navigation';
import { startTransition } from 'react';
import { ErrorPanel } from '@/components/shell/error-panel.tsx';

interface DashboardErrorProps {
  error: Error & { digest?: string };
  reset: () => void;
}

export default function DashboardError({ error, reset }: DashboardErrorProps) {
  const router = useRouter();
  // Drawing again is not enough: the data that was missing comes from the server.
  const retry = () =>
    startTransition(() => {
      router.refresh();
      reset();
    });
  return <ErrorPanel error={error} retry={retry} />;
}
