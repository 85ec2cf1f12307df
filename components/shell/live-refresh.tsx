'use client';

import { useRouter } from 'next/navigation';
import { useEffect } from 'react';

interface LiveRefreshProps {
  /** Something on the page can still change by itself. */
  active: boolean;
  intervalMs: number;
}

/**
 * Keeps a page's data fresh while something on it is unfinished. A hidden tab asks for nothing; when it is
 * shown again it catches up at once.
 */
export function LiveRefresh({ active, intervalMs }: LiveRefreshProps) {
  const router = useRouter();
  useEffect(() => {
    if (!active) return;
    const refreshIfVisible = () => {
      if (document.visibilityState === 'visible') router.refresh();
    };
    const timer = setInterval(refreshIfVisible, intervalMs);
    document.addEventListener('visibilitychange', refreshIfVisible);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', refreshIfVisible);
    };
  }, [router, active, intervalMs]);
  return null;
}
