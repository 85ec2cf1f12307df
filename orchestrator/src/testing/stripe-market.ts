import type { Db } from '@computefabric/db/client';
import { billingAccounts } from '@computefabric/db/schema/billing-accounts';
import type { AccountKind } from '@computefabric/db/schema/ledger-accounts';
import { ledgerAccounts } from '@computefabric/db/schema/ledger-accounts';
import type { UserId } from '@computefabric/protocol/ids';
import { silentLogger } from '@computefabric/runtime/log';
import { Secret } from '@computefabric/runtime/secret';
import { eq, sql } from 'drizzle-orm';
import { startStripeServer, type StripeServer } from '../../../tests/stripe-server/server.ts';
import { createStripeGateway } from '../stripe/stripe-live.ts';
import type { StripeGateway } from '../stripe/stripe-gateway.ts';
import type { TopUpDeps } from '../topups/top-up-deps.ts';
import { startTestMarket, type TestMarket } from './test-market.ts';

const webhookSecret = 'whsec_market';

/** A gateway to a stand-in, by the real SDK. */
export function gatewayTo(server: StripeServer): StripeGateway {
  const { hostname, port } = new URL(server.url);
  return createStripeGateway({
    secretKey: new Secret('sk_test_standin'),
    webhookSecret: new Secret(webhookSecret),
    address: { protocol: 'http', host: hostname, port: Number(port) },
    now: () => Date.now(),
  });
}

/** What works on cards, without the program around it: for tests that crash it between two steps. */
export function topUpDepsOf(
  db: Db,
  stripe: StripeGateway,
  mode: 'prepaid' | 'per_job' = 'prepaid',
): TopUpDeps {
  const settings = { mode, creditLimitMicros: 20_000_000n, returnUrl: 'http://127.0.0.1:3000/billing' };
  return { db, log: silentLogger, stripe, settings };
}

export interface StripeMarket extends TestMarket {
  stripe: StripeServer;
  closeAll(): Promise<void>;
}

/** The whole orchestrator with a stand-in for Stripe that sends it events. */
export async function startStripeMarket(settings: Record<string, string> = {}): Promise<StripeMarket> {
  const stripe = await startStripeServer();
  const market = await startTestMarket({
    STRIPE_SECRET_KEY: 'sk_test_standin',
    STRIPE_WEBHOOK_SECRET: webhookSecret,
    STRIPE_API_BASE: stripe.url,
    CREDIT_LIMIT_USD: '20',
    ...settings,
  }).catch(async (thrown: unknown) => {
    await stripe.close();
    throw thrown;
  });
  await stripe.control('register-webhook', { url: `${market.url}/webhooks/stripe`, secret: webhookSecret });
  return {
    ...market,
    stripe,
    closeAll: async () => {
      await stripe.close();
      await market.close();
    },
  };
}

/** Balances by kind: those of a user, or the market's own for null. Micros; 0 where there is none. */
export async function balancesOf(
  db: Db,
  userId: UserId | null,
): Promise<Partial<Record<AccountKind, bigint>>> {
  const rows = await db
    .select({
      kind: ledgerAccounts.kind,
      micros: sql<string>`(${ledgerAccounts.creditsMicros} - ${ledgerAccounts.debitsMicros})::text`,
    })
    .from(ledgerAccounts)
    .where(userId === null ? sql`${ledgerAccounts.ownerId} is null` : eq(ledgerAccounts.ownerId, userId));
  return Object.fromEntries(rows.map(({ kind, micros }) => [kind, BigInt(micros)]));
}

export async function billingAccountOf(db: Db, userId: UserId) {
  const [row] = await db.select().from(billingAccounts).where(eq(billingAccounts.userId, userId));
  return row;
}
