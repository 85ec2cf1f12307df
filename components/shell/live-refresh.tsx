'use client';

import { useRouter } from 'next/navigation';
import { useEffect } from 'react';

/** A server that has not answered by then is not there for us. */
const answerDeadlineMs = 3_000;

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
    let stopped = false;
    const refreshIfVisible = async () => {
      if (document.visibilityState !== 'visible' || !(await serverAnswers()) || stopped) return;
      router.refresh();
    };
    const timer = setInterval(refreshIfVisible, intervalMs);
    document.addEventListener('visibilitychange', refreshIfVisible);
    return () => {
      stopped = true;
      clearInterval(timer);
      document.removeEventListener('visibilitychange', refreshIfVisible);
    };
  }, [router, active, intervalMs]);
  return null;
}

/**
 * Asked before each refresh: when a refresh cannot reach the server, Next falls back to loading the whole page,
 * which would put the browser's error page in the place of ours while the server restarts.
 */
async function serverAnswers(): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(answerDeadlineMs);
    return (await fetch('/icon.svg', { method: 'HEAD', cache: 'no-store', signal })).ok;
  } catch {
    return false; // Not reachable is the answer, whatever the reason.
  }
}
