import type { Db } from '@computefabric/db/client';
import type { BillingMode } from '@computefabric/protocol/top-up-state';
import type { Logger } from '@computefabric/runtime/log';
import type { StripeGateway } from '../stripe/stripe-gateway.ts';

/** What everything between cards and the ledger is built from. */
export interface TopUpDeps {
  db: Db;
  log: Logger;
  stripe: StripeGateway;
  settings: {
    mode: BillingMode;
    /** What an account may owe at once where each job is charged. */
    creditLimitMicros: bigint;
    /** Where people come back to from Stripe's pages. */
    returnUrl: string;
  };
}
