import { scheduleId } from '@computefabric/protocol/ids';
import * as api from '@computefabric/protocol/user-api/schedules';
import { z } from 'zod';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { withIdempotency } from '../../http/idempotency.ts';
import { cursorAs, pageFrom } from '../../http/page.ts';
import {
  changeSchedule,
  createSchedule,
  deleteSchedule,
  requireSchedule,
} from '../../schedules/change-schedule.ts';
import { listFirings, listSchedulesOf } from '../../schedules/schedule.store.ts';
import { viewFiring, viewSchedule, viewSchedules } from '../../schedules/schedule-view.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** The number of the last firing of the page before. */
const firingCursor = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);

/** Jobs that are submitted again and again. */
export function scheduleRoutes({ db }: UserRouteDeps): BoundRoute[] {
  return [
    route(api.createSchedule, async ({ caller: { userId }, body, idempotencyKey }) =>
      withIdempotency(
        db,
        { userId, key: idempotencyKey, contract: api.createSchedule, request: body },
        async (tx) => viewSchedule(tx, await createSchedule(tx, userId, body)),
      ),
    ),

    route(api.listSchedules, async ({ caller: { userId }, query }) => {
      const rows = await listSchedulesOf(db, userId, {
        limit: query.limit + 1,
        before: cursorAs(scheduleId, query.cursor),
      });
      const page = pageFrom(
        rows,
        query.limit,
        (row) => row.id,
        (row) => row,
      );
      return { ...page, items: await viewSchedules(db, page.items) };
    }),

    route(api.getSchedule, async ({ caller: { userId }, params }) =>
      viewSchedule(db, await requireSchedule(db, userId, params.schedule)),
    ),

    route(api.changeSchedule, async ({ caller: { userId }, params, body }) =>
      viewSchedule(db, await changeSchedule(db, userId, params.schedule, body.state)),
    ),

    route(api.deleteSchedule, async ({ caller: { userId }, params }) =>
      deleteSchedule(db, userId, params.schedule),
    ),

    route(api.listFirings, async ({ caller: { userId }, params, query }) => {
      const { id } = await requireSchedule(db, userId, params.schedule);
      const rows = await listFirings(db, id, {
        limit: query.limit + 1,
        before: cursorAs(firingCursor, query.cursor),
      });
      return pageFrom(rows, query.limit, ({ firing }) => String(firing.id), viewFiring);
    }),
  ];
}
