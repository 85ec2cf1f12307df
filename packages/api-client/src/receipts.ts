import * as contracts from '@computefabric/protocol/user-api/receipts';
import type { CallOptions, Transport } from './transport.ts';

/** Signed receipts, and the keys that they are checked with. */
export function receiptCalls(transport: Transport) {
  return {
    /** Of an ended job; refused with `receipt/not-ready` until it is settled. */
    get: (job: string, options: CallOptions = {}) =>
      transport.call(contracts.getReceipt, { params: { job }, ...options }),
    /** One bill for all members of a group. */
    group: (group: string, options: CallOptions = {}) =>
      transport.call(contracts.getGroupReceipt, { params: { group }, ...options }),
    /** Every public key that the market signs or has signed with. */
    keys: (options: CallOptions = {}) => transport.call(contracts.listMarketKeys, options),
  };
}
