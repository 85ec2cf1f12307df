import type { ProviderId } from '@computefabric/protocol/ids';
import * as contracts from '@computefabric/protocol/user-api/machines';
import type { CallOptions, Transport } from './transport.ts';

/** The caller's own machines. */
export function machineCalls(transport: Transport) {
  return {
    list: (options: CallOptions = {}) => transport.call(contracts.listMachines, options),
    get: (provider: ProviderId, options: CallOptions = {}) =>
      transport.call(contracts.getMachine, { params: { provider }, ...options }),
    /** A secret with which one machine can join, once. */
    createJoinToken: (request: { expires_in_seconds?: number | undefined } = {}, options: CallOptions = {}) =>
      transport.call(contracts.createJoinToken, { body: request, ...options }),
  };
}
