import type { TopUpId } from '@computefabric/protocol/ids';
import * as contracts from '@computefabric/protocol/user-api/billing';
import type { CallOptions, Transport } from './transport.ts';

/** Amounts in micros, as decimal strings of whole cents. */
export interface NewTopUp {
  amount_micros: string;
  method?: 'checkout' | 'element' | undefined;
  save_card?: boolean | undefined;
}

export interface AutoTopUpSettings {
  threshold_micros: string;
  amount_micros: string;
  monthly_ceiling_micros: string;
}

export function billingCalls(transport: Transport) {
  return {
    get: (options: CallOptions = {}) => transport.call(contracts.getBilling, options),
    /** The reply's `top_up.url` is the page to pay on. */
    createTopUp: (topUp: NewTopUp, options: CallOptions = {}) =>
      transport.call(contracts.createTopUp, { body: topUp, ...options }),
    /** One page, newest first. */
    listTopUps: (
      query: { limit?: number | undefined; cursor?: string | undefined } = {},
      options: CallOptions = {},
    ) => transport.call(contracts.listTopUps, { query, ...options }),
    getTopUp: (topUp: TopUpId, options: CallOptions = {}) =>
      transport.call(contracts.getTopUp, { params: { topUp }, ...options }),
    /** The page on which a card is saved. */
    addCard: (options: CallOptions = {}) => transport.call(contracts.addCard, { body: {}, ...options }),
    removeCard: (card: string, options: CallOptions = {}) =>
      transport.call(contracts.removeCard, { params: { card }, ...options }),
    /** Null switches it off. */
    setAutoTopUp: (auto: AutoTopUpSettings | null, options: CallOptions = {}) =>
      transport.call(contracts.setAutoTopUp, { body: { auto_top_up: auto }, ...options }),
    /** Tries again what the card was refused for. */
    pay: (options: CallOptions = {}) => transport.call(contracts.payOwed, { body: {}, ...options }),
    /** Null is all that can go back. */
    refund: (amountMicros: string | null, options: CallOptions = {}) =>
      transport.call(contracts.refundBalance, { body: { amount_micros: amountMicros }, ...options }),
    listRefunds: (options: CallOptions = {}) => transport.call(contracts.listRefunds, options),
  };
}
