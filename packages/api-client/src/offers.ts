import { listOffers } from '@computefabric/protocol/user-api/quotes';
import type { CallOptions, Transport } from './transport.ts';

export interface OfferQuery {
  /** At least this many free GPUs. */
  gpus?: number | undefined;
  gpu_model?: string | undefined;
  min_vram_mib?: number | undefined;
}

export function offerCalls(transport: Transport) {
  return {
    /** Machines on the market. */
    list: (query: OfferQuery = {}, options: CallOptions = {}) =>
      transport.call(listOffers, { query, ...options }),
  };
}
