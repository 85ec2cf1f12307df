import 'server-only';

import { ApiError } from '@computefabric/api-client/errors';
import type { GroupSummary, GroupView } from '@computefabric/protocol/user-api/groups';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import { toError } from '@computefabric/runtime/errors';
import { log } from './log.ts';
import { orchestratorAs, quickOrchestratorAs } from './orchestrator.ts';
import type { Session } from './session.ts';

/** Groups shown above the list of jobs. */
const shownGroups = 10;

/** One of the viewer's groups with its progress and bill; null when there is none of that id. */
export async function getGroup(session: Session, id: string): Promise<GroupView | null> {
  try {
    return await orchestratorAs(session).groups.get(id);
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.status === 404) return null;
    throw thrown;
  }
}

/** The viewer's newest groups; none when nobody answers, since the page is about jobs. */
export async function listGroups(session: Session): Promise<GroupSummary[]> {
  try {
    return (await quickOrchestratorAs(session).groups.list({ limit: shownGroups })).items;
  } catch (thrown) {
    log.warn({ err: toError(thrown) }, 'groups not available');
    return [];
  }
}

/** The place of a job in its group and for whom it waits; null when nobody answers. */
export async function getPlace(
  session: Session,
  jobId: string,
): Promise<Pick<JobView, 'group' | 'waits_for'> | null> {
  try {
    return await quickOrchestratorAs(session).jobs.get(jobId);
  } catch (thrown) {
    log.warn({ err: toError(thrown), job_id: jobId }, 'place in a group not available');
    return null;
  }
}
