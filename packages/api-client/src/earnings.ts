import type { PayoutId } from '@computefabric/protocol/ids';
import type { PayoutSchedule, PayoutState } from '@computefabric/protocol/payout-state';
import * as contracts from '@computefabric/protocol/user-api/earnings';
import type { CallOptions, Transport } from './transport.ts';

export interface PayoutQuery {
  /** To you, or all (the operator alone). */
  as?: 'owner' | 'operator' | undefined;
  state?: PayoutState | undefined;
  limit?: number | undefined;
  cursor?: string | undefined;
}

/** What machines have earned, and how it is paid out. Amounts in micros, as decimal strings. */
export function earningsCalls(transport: Transport) {
  return {
    get: (options: CallOptions = {}) => transport.call(contracts.getEarnings, options),
    /** @param period a month such as 2026-11, or a day such as 2026-11-23 (UTC) */
    statement: (period: string, options: CallOptions = {}) =>
      transport.call(contracts.getStatement, { query: { period }, ...options }),
    getAccount: (options: CallOptions = {}) => transport.call(contracts.getPayoutAccount, options),
    /** The page on which an owner says where the money goes. @param country two capital letters */
    setUp: (country: string | undefined, options: CallOptions = {}) =>
      transport.call(contracts.setUpPayouts, {
        body: country === undefined ? {} : { country },
        ...options,
      }),
    changeAccount: (
      change: { schedule?: PayoutSchedule | undefined; minimum_micros?: string | undefined },
      options: CallOptions = {},
    ) => transport.call(contracts.changePayoutAccount, { body: change, ...options }),
    /** Null is all that may be paid out. */
    request: (amountMicros: string | null, options: CallOptions = {}) =>
      transport.call(contracts.requestPayout, { body: { amount_micros: amountMicros }, ...options }),
    /** One page, newest first. */
    listPayouts: (query: PayoutQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listPayouts, { query, ...options }),
    getPayout: (payout: PayoutId, options: CallOptions = {}) =>
      transport.call(contracts.getPayout, { params: { payout }, ...options }),
    /** What the market owes its owners; the operator alone. */
    listOwed: (
      query: { limit?: number | undefined; cursor?: string | undefined } = {},
      options: CallOptions = {},
    ) => transport.call(contracts.listOwed, { query, ...options }),
    /** A payout that the operator has made by other means. @param payout.to id or email of the owner */
    record: (payout: { to: string; amount_micros: string; reference: string }, options: CallOptions = {}) =>
      transport.call(contracts.recordPayout, { body: payout, ...options }),
    correct: (payout: PayoutId, reason: string, options: CallOptions = {}) =>
      transport.call(contracts.correctPayout, { params: { payout }, body: { reason }, ...options }),
  };
}
