'use client';

import { ErrorPanel } from '@/components/shell/error-panel.tsx';

export default function DashboardError({
  error,
  reset,
}: {
  error: Error & { digest?: string };
  reset: () => void;
}) {
  return <ErrorPanel error={error} reset={reset} />;
}
