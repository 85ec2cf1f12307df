import type { DisputeOutcome, DisputeReason, DisputeState } from '@computefabric/protocol/dispute';
import type { DisputeId } from '@computefabric/protocol/ids';
import * as contracts from '@computefabric/protocol/user-api/disputes';
import type { CallOptions, Transport } from './transport.ts';

export interface DisputeQuery {
  /** Of your jobs, about your machines, or all. */
  as?: 'renter' | 'owner' | 'operator' | undefined;
  state?: DisputeState | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}

export interface DisputeDecision {
  outcome: DisputeOutcome;
  explanation: string;
  blame?: 'provider' | 'platform' | undefined;
  /** Less than all that the job cost. */
  refund_micros?: string | null | undefined;
}

/** Contested jobs. */
export function disputeCalls(transport: Transport) {
  return {
    open: (job: string, body: { reason: DisputeReason; message: string }, options: CallOptions = {}) =>
      transport.call(contracts.openDispute, { params: { job }, body, ...options }),
    /** One page, newest first. */
    list: (query: DisputeQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listDisputes, { query, ...options }),
    /** The operator alone. */
    decide: (dispute: DisputeId, body: DisputeDecision, options: CallOptions = {}) =>
      transport.call(contracts.decideDispute, { params: { dispute }, body, ...options }),
  };
}
