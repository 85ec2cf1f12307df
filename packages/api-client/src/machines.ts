import type { ProviderId } from '@computefabric/protocol/ids';
import type { TrustTier } from '@computefabric/protocol/trust-tier';
import * as contracts from '@computefabric/protocol/user-api/machines';
import { setMachineTier } from '@computefabric/protocol/user-api/operator';
import type { z } from 'zod';
import type { PageQuery } from './jobs.ts';
import type { CallOptions, Transport } from './transport.ts';

type Body<C extends { body?: z.ZodType }> = z.input<NonNullable<C['body']>>;

/** The caller's own machines. */
export function machineCalls(transport: Transport) {
  return {
    list: (options: CallOptions = {}) => transport.call(contracts.listMachines, options),
    get: (provider: ProviderId, options: CallOptions = {}) =>
      transport.call(contracts.getMachine, { params: { provider }, ...options }),
    /** One page of what it was given, newest first. */
    tries: (provider: ProviderId, query: PageQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listMachineTries, { params: { provider }, query, ...options }),
    /** No new work; what runs goes on. */
    pause: (provider: ProviderId, request: Body<typeof contracts.pauseMachine>, options: CallOptions = {}) =>
      transport.call(contracts.pauseMachine, { params: { provider }, body: request, ...options }),
    /** No new work; what still runs when the time is over moves. */
    drain: (provider: ProviderId, request: Body<typeof contracts.drainMachine>, options: CallOptions = {}) =>
      transport.call(contracts.drainMachine, { params: { provider }, body: request, ...options }),
    /** Work again. */
    resume: (provider: ProviderId, options: CallOptions = {}) =>
      transport.call(contracts.resumeMachine, { params: { provider }, body: {}, ...options }),
    planMaintenance: (
      provider: ProviderId,
      request: Body<typeof contracts.planMaintenance>,
      options: CallOptions = {},
    ) => transport.call(contracts.planMaintenance, { params: { provider }, body: request, ...options }),
    cancelMaintenance: (provider: ProviderId, options: CallOptions = {}) =>
      transport.call(contracts.cancelMaintenance, { params: { provider }, ...options }),
    /** For the operator: how far the market vouches for any machine. */
    setTier: (provider: ProviderId, tier: TrustTier, options: CallOptions = {}) =>
      transport.call(setMachineTier, { params: { provider }, body: { tier }, ...options }),
    /** A secret with which one machine can join, once. */
    createJoinToken: (request: { expires_in_seconds?: number | undefined } = {}, options: CallOptions = {}) =>
      transport.call(contracts.createJoinToken, { body: request, ...options }),
  };
}
