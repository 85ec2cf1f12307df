import type { ScheduleState } from '@computefabric/protocol/schedule-state';
import * as contracts from '@computefabric/protocol/user-api/schedules';
import type { ScheduleSpecInput } from '@computefabric/protocol/user-api/schedules';
import type { PageQuery } from './jobs.ts';
import type { CallOptions, Transport } from './transport.ts';

/** Jobs that are submitted again and again; `schedule` is an id or a name in your account. */
export function scheduleCalls(transport: Transport) {
  return {
    create: (schedule: ScheduleSpecInput, options: CallOptions = {}) =>
      transport.call(contracts.createSchedule, { body: schedule, ...options }),
    get: (schedule: string, options: CallOptions = {}) =>
      transport.call(contracts.getSchedule, { params: { schedule }, ...options }),
    /** One page, newest first. */
    list: (query: PageQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listSchedules, { query, ...options }),
    /** Pauses or resumes. */
    change: (schedule: string, state: ScheduleState, options: CallOptions = {}) =>
      transport.call(contracts.changeSchedule, { params: { schedule }, body: { state }, ...options }),
    remove: (schedule: string, options: CallOptions = {}) =>
      transport.call(contracts.deleteSchedule, { params: { schedule }, ...options }),
    /** One page of the times at which it fired, newest first. */
    firings: (schedule: string, query: PageQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listFirings, { params: { schedule }, query, ...options }),
  };
}
