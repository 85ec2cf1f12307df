import 'server-only';

import { toError } from '@computefabric/runtime/errors';
import type { WaitingView } from '@/types/job-view.ts';
import { log } from './log.ts';
import { quickOrchestratorAs } from './orchestrator.ts';
import { toWaitingView } from './plan-view.ts';
import type { Session } from './session.ts';

/**
 * Why a queued job waits, asked of the matcher itself so that the page tells its story and no other. Null
 * when the job waits no more, or when nobody answers: the page then leaves the explanation out.
 */
export async function getWaiting(session: Session, jobId: string): Promise<WaitingView | null> {
  try {
    const { waiting } = await quickOrchestratorAs(session).jobs.get(jobId);
    return waiting ? toWaitingView(waiting) : null;
  } catch (thrown) {
    log.warn({ err: toError(thrown), job_id: jobId }, 'reason for waiting not available');
    return null;
  }
}
