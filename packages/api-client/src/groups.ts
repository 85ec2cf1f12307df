import * as contracts from '@computefabric/protocol/user-api/groups';
import type { GroupSpecInput } from '@computefabric/protocol/user-api/groups';
import type { PageQuery } from './jobs.ts';
import type { CallOptions, Transport } from './transport.ts';

/** Arrays, sweeps and gangs; `group` is an id or a name in your account. */
export function groupCalls(transport: Transport) {
  return {
    /** Submits a group. A repeat with the same `idempotencyKey` gives the same group. */
    create: (group: GroupSpecInput, options: CallOptions = {}) =>
      transport.call(contracts.createGroup, { body: group, ...options }),
    get: (group: string, options: CallOptions = {}) =>
      transport.call(contracts.getGroup, { params: { group }, ...options }),
    /** One page, newest first. */
    list: (query: PageQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listGroups, { query, ...options }),
    /** Asks all members to stop. */
    cancel: (group: string, options: CallOptions = {}) =>
      transport.call(contracts.cancelGroup, { params: { group }, ...options }),
  };
}
