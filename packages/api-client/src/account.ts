import type { ApiKeyId } from '@computefabric/protocol/ids';
import type { PaymentState } from '@computefabric/protocol/payment-state';
import * as contracts from '@computefabric/protocol/user-api/account';
import type { CallOptions, Transport } from './transport.ts';

export interface PaymentQuery {
  limit?: number | undefined;
  cursor?: string | undefined;
  state?: PaymentState | undefined;
}

export interface NewApiKey {
  name: string;
  expires_in_seconds?: number | null | undefined;
}

export function accountCalls(transport: Transport) {
  return {
    whoAmI: (options: CallOptions = {}) => transport.call(contracts.whoAmI, options),
    balance: (options: CallOptions = {}) => transport.call(contracts.getBalance, options),
    /** One page, newest first. */
    payments: (query: PaymentQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listPayments, { query, ...options }),
    /** The reply holds the key's secret, which is never shown again. */
    createApiKey: (key: NewApiKey, options: CallOptions = {}) =>
      transport.call(contracts.createApiKey, { body: key, ...options }),
    listApiKeys: (options: CallOptions = {}) => transport.call(contracts.listApiKeys, options),
    revokeApiKey: (key: ApiKeyId, options: CallOptions = {}) =>
      transport.call(contracts.revokeApiKey, { params: { key }, ...options }),
  };
}
