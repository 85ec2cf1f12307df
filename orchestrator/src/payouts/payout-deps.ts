import type { Db } from '@computefabric/db/client';
import type { Logger } from '@computefabric/runtime/log';
import type { StripeGateway } from '../stripe/stripe-gateway.ts';

export interface PayoutSettings {
  /** Earnings are kept so long before they may be paid out, seconds. */
  holdSeconds: number;
  /** Nothing of an owner's is released before so many tries of theirs are settled and not contested. */
  firstJobs: number;
  /** Less is not paid out, micros. */
  minimumMicros: bigint;
  /** Where owners come back to from Stripe's page; `onboarding=done` or `onboarding=again` is added. */
  returnUrl: string;
}

/** What pays owners is built from. */
export interface PayoutDeps {
  db: Db;
  log: Logger;
  /** Null: no payment provider is configured, and the operator pays by other means. */
  stripe: StripeGateway | null;
  settings: PayoutSettings;
  playMoney: boolean;
}

/** The same where there is a payment provider. */
export interface TransferDeps extends PayoutDeps {
  stripe: StripeGateway;
}
