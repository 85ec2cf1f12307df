import 'server-only';

import type { ScheduleView } from '@computefabric/protocol/user-api/schedules';
import { orchestratorAs } from './orchestrator.ts';
import type { Session } from './session.ts';

/** Schedules of one page: more than people make by hand. */
const shownSchedules = 200;

/** The viewer's schedules, newest first. */
export async function listSchedules(session: Session): Promise<ScheduleView[]> {
  return (await orchestratorAs(session).schedules.list({ limit: shownSchedules })).items;
}
