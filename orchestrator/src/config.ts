import { dirname, join, resolve } from 'node:path';
import { findMigrationsFolder } from '@computefabric/db/migrate';
import { parseBearer } from '@computefabric/protocol/api-key';
import { parseUsd } from '@computefabric/protocol/money';
import { type BillingMode, billingMode } from '@computefabric/protocol/top-up-state';
import { logLevelSetting, parseSettings, portSetting, secondsSetting } from '@computefabric/runtime/config';
import { Secret, secretSetting } from '@computefabric/runtime/secret';
import { z } from 'zod';
import type { S3Settings } from './objects/s3-object-store.ts';
import {
  isLiveKeyElsewhere,
  type StripeAddress,
  stripeBaseSetting,
  stripeCurrencySetting,
  stripeSecretSetting,
} from './stripe/stripe-settings.ts';

const usdSetting = z.string().transform((text, context) => {
  const micros = parseUsd(text);
  if (micros !== null) return micros;
  context.addIssue({ code: 'custom', message: 'must be an amount in USD such as 1.00' });
  return z.NEVER;
});

const urlSetting = z
  .url({ protocol: /^https?$/, message: 'must be an http or https address' })
  .transform((url) => url.replace(/\/+$/, ''));

/** Every setting of the orchestrator; .env.example documents them for people. */
export const settings = z
  .object({
    /** Address and port of the API. Loopback by default: put TLS in front before opening it to others. */
    ORCHESTRATOR_HOST: z.string().default('127.0.0.1'),
    ORCHESTRATOR_PORT: portSetting.default(4_000),
    /** Any PostgreSQL 15 or newer; without it the embedded one below COMPUTEFABRIC_HOME is started. */
    DATABASE_URL: z
      .string()
      .transform((url) => new Secret(url))
      .optional(),
    /** Where this market keeps its state: the embedded database and result files. */
    COMPUTEFABRIC_HOME: z.string().optional(),
    /** API key (`cf_…`) of the local operator, who is made when the program starts with it. */
    COMPUTEFABRIC_OPERATOR_TOKEN: secretSetting
      .refine(
        (token) => parseBearer(token.reveal())?.kind === 'user',
        'must be an API key of the form cf_…_…',
      )
      .optional(),
    /** Where people find the dashboard; named in answers about jobs. */
    DASHBOARD_URL: urlSetting.optional(),
    /** A machine that is silent for this long loses its jobs. */
    LEASE_TTL_SECONDS: secondsSetting.default(30),
    /** A machine must answer an offer within this time. */
    LEASE_OFFER_SECONDS: secondsSetting.default(15),
    /** How often machines say that they live; a third of the lease time unless given. */
    HEARTBEAT_SECONDS: secondsSetting.optional(),
    /** Tries of a job that machines may spoil, once begun, before it is given up: a bound on nonsense, no policy. */
    MAX_ATTEMPTS: z.coerce.number().int().min(1).max(1_000_000).default(1_000),
    /** A spot job that gives way to an on-demand one has at most this long to end after it was told. */
    PREEMPTION_NOTICE_SECONDS: secondsSetting.default(30),
    /** The market's part of each bill, ten-thousandths: 500 is 5 %. */
    PLATFORM_FEE_BPS: z.coerce.number().int().min(0).max(10_000).default(0),
    /** The least that owners may ask for a GPU-hour, also of spot jobs, USD; 0 is no floor. */
    PRICE_FLOOR_PER_GPU_HOUR_USD: usdSetting.prefault('0'),
    /** Price limit, USD per GPU-hour or core-hour, of jobs that name none. */
    DEFAULT_MAX_PRICE_PER_HOUR_USD: usdSetting.prefault('1.00'),
    /** Play money of the local operator, USD, where no payment provider is configured; 0 gives none. */
    PLAY_MONEY_GRANT_USD: usdSetting.prefault('100'),
    /** Key of the payment provider. Without it all money is play money. */
    STRIPE_SECRET_KEY: stripeSecretSetting.optional(),
    /** Signs Stripe's webhooks (`whsec_…`). Without it they are refused, and Stripe is asked at intervals alone. */
    STRIPE_WEBHOOK_SECRET: secretSetting.optional(),
    /** Signs the webhook for events of owners' accounts, where Stripe has one of its own for them. */
    STRIPE_CONNECT_WEBHOOK_SECRET: secretSetting.optional(),
    /** Another server in the place of Stripe, for tests: scheme, host and port. Never with a live key. */
    STRIPE_API_BASE: stripeBaseSetting,
    /** The currency that Stripe is asked for. */
    STRIPE_CURRENCY: stripeCurrencySetting,
    /** `prepaid`: a balance that is topped up. `per_job`: the saved card is charged for each job that has ended. */
    BILLING_MODE: billingMode.default('prepaid'),
    /** With `per_job`: what an account may owe at once, USD, unfinished jobs at their most included. */
    CREDIT_LIMIT_USD: usdSetting.prefault('50'),
    /** What machines earn is kept so long before it may be paid out, days. */
    EARNINGS_HOLD_DAYS: z.coerce.number().min(0).max(365).default(7),
    /** Nothing of a new owner's is paid out before so many tries on their machines are settled and not contested. */
    EARNINGS_HOLD_JOBS: z.coerce.number().int().min(0).max(10_000).default(5),
    /** The least payout to an owner, USD. */
    PAYOUT_MINIMUM_USD: usdSetting.prefault('10'),
    /** Renters may contest a job for so many days after its end. */
    DISPUTE_WINDOW_DAYS: z.coerce.number().int().min(0).max(365).default(14),
    /** Ed25519 private key (PEM, line ends may be written as \n) for receipts; without it one is made in COMPUTEFABRIC_HOME. */
    RECEIPT_SIGNING_KEY: secretSetting.optional(),
    /** Seals registry logins of jobs, at least 32 characters; without it the market takes none. Equal on all orchestrators. */
    SECRETS_KEY: z
      .string()
      .min(32, 'must have at least 32 characters')
      .transform((key) => new Secret(key))
      .optional(),
    /** Where result files and checkpoints are kept instead of COMPUTEFABRIC_HOME; all five or none. */
    S3_ENDPOINT: urlSetting.optional(),
    S3_BUCKET: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be a bucket name')
      .optional(),
    S3_REGION: z.string().min(1).max(64).default('us-east-1'),
    S3_ACCESS_KEY_ID: z.string().min(1).optional(),
    S3_SECRET_ACCESS_KEY: secretSetting.optional(),
    /** Put before every key, such as `market-1/`. */
    S3_PREFIX: z
      .string()
      .regex(/^([A-Za-z0-9_-]+\/)*$/, 'must be empty or end with a slash, such as market-1/')
      .default(''),
    /** Bytes that nothing refers to any more are removed after this long. */
    OBJECT_GRACE_SECONDS: secondsSetting.default(600),
    /** Checkpoints of a job are removed this long after its end. */
    CHECKPOINT_KEEP_SECONDS: secondsSetting.default(86_400),
    /** How often the leading orchestrator adds the books up anew. */
    LEDGER_AUDIT_SECONDS: secondsSetting.default(900),
    LOG_LEVEL: logLevelSetting.default('info'),
    /** `production` leaves out the check of our own replies against their contracts. */
    NODE_ENV: z.string().optional(),
  })
  .superRefine((values, context) => {
    const s3 = [values.S3_ENDPOINT, values.S3_BUCKET, values.S3_ACCESS_KEY_ID, values.S3_SECRET_ACCESS_KEY];
    if (s3.some((value) => value !== undefined) && s3.some((value) => value === undefined)) {
      context.addIssue({
        code: 'custom',
        path: ['S3_ENDPOINT'],
        message:
          'must come with S3_BUCKET, S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or without any of them',
      });
    }
    if (
      values.STRIPE_SECRET_KEY &&
      isLiveKeyElsewhere(values.STRIPE_SECRET_KEY.reveal(), values.STRIPE_API_BASE)
    ) {
      context.addIssue({
        code: 'custom',
        path: ['STRIPE_API_BASE'],
        message: 'must not be set with a live key: real money is for Stripe alone',
      });
    }
    const heartbeat = values.HEARTBEAT_SECONDS;
    if (heartbeat !== undefined && heartbeat > values.LEASE_TTL_SECONDS / 2) {
      context.addIssue({
        code: 'custom',
        path: ['HEARTBEAT_SECONDS'],
        message: 'must be at most half of LEASE_TTL_SECONDS, or one lost message costs a job its machine',
      });
    }
  });

export interface StripeConfig {
  secretKey: Secret;
  webhookSecret: Secret | null;
  connectWebhookSecret: Secret | null;
  address: StripeAddress;
  mode: BillingMode;
  creditLimitMicros: bigint;
}

/** Settings by area, with units in their names. */
export interface Config {
  http: { host: string; port: number };
  /** Null: the embedded server below `home`. */
  databaseUrl: Secret | null;
  home: string;
  operatorToken: Secret | null;
  dashboardUrl: string | null;
  leases: {
    leaseTtlSeconds: number;
    offerSeconds: number;
    heartbeatSeconds: number;
    maxAttempts: number;
    preemptionNoticeSeconds: number;
    platformFeeBps: number;
    priceFloorPerGpuHourMicros: bigint;
  };
  money: { playMoney: boolean; playMoneyGrantMicros: bigint; defaultMaxPricePerHourMicros: bigint };
  /** Null: all money is play money. */
  stripe: StripeConfig | null;
  payouts: { holdSeconds: number; firstJobs: number; minimumMicros: bigint };
  disputeWindowDays: number;
  /** Null: the one in `home`. */
  receiptSigningKey: Secret | null;
  secretsKey: Secret | null;
  objects: { s3: S3Settings | null; graceSeconds: number; keepCheckpointsSeconds: number };
  auditEverySeconds: number;
  logLevel: z.output<typeof logLevelSetting>;
  checkReplies: boolean;
}

/**
 * Reads the settings out of an environment. Pure: the same environment gives the same settings.
 *
 * @throws ConfigError naming every wrong setting at once.
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const values = parseSettings(settings, env);
  return {
    http: { host: values.ORCHESTRATOR_HOST, port: values.ORCHESTRATOR_PORT },
    databaseUrl: values.DATABASE_URL ?? null,
    home: resolve(values.COMPUTEFABRIC_HOME ?? defaultHome()),
    operatorToken: values.COMPUTEFABRIC_OPERATOR_TOKEN ?? null,
    dashboardUrl: values.DASHBOARD_URL ?? null,
    leases: {
      leaseTtlSeconds: values.LEASE_TTL_SECONDS,
      offerSeconds: values.LEASE_OFFER_SECONDS,
      heartbeatSeconds: values.HEARTBEAT_SECONDS ?? values.LEASE_TTL_SECONDS / 3,
      maxAttempts: values.MAX_ATTEMPTS,
      preemptionNoticeSeconds: values.PREEMPTION_NOTICE_SECONDS,
      platformFeeBps: values.PLATFORM_FEE_BPS,
      priceFloorPerGpuHourMicros: values.PRICE_FLOOR_PER_GPU_HOUR_USD,
    },
    money: {
      playMoney: values.STRIPE_SECRET_KEY === undefined,
      playMoneyGrantMicros: values.PLAY_MONEY_GRANT_USD,
      defaultMaxPricePerHourMicros: values.DEFAULT_MAX_PRICE_PER_HOUR_USD,
    },
    payouts: {
      holdSeconds: values.EARNINGS_HOLD_DAYS * 86_400,
      firstJobs: values.EARNINGS_HOLD_JOBS,
      minimumMicros: values.PAYOUT_MINIMUM_USD,
    },
    disputeWindowDays: values.DISPUTE_WINDOW_DAYS,
    receiptSigningKey: values.RECEIPT_SIGNING_KEY ?? null,
    secretsKey: values.SECRETS_KEY ?? null,
    stripe: stripeConfig(values),
    objects: {
      s3: s3Settings(values),
      graceSeconds: values.OBJECT_GRACE_SECONDS,
      keepCheckpointsSeconds: values.CHECKPOINT_KEEP_SECONDS,
    },
    auditEverySeconds: values.LEDGER_AUDIT_SECONDS,
    logLevel: values.LOG_LEVEL,
    checkReplies: values.NODE_ENV !== 'production',
  };
}

function stripeConfig(values: z.output<typeof settings>): StripeConfig | null {
  if (!values.STRIPE_SECRET_KEY) return null;
  return {
    secretKey: values.STRIPE_SECRET_KEY,
    webhookSecret: values.STRIPE_WEBHOOK_SECRET ?? null,
    connectWebhookSecret: values.STRIPE_CONNECT_WEBHOOK_SECRET ?? null,
    address: values.STRIPE_API_BASE,
    mode: values.BILLING_MODE,
    creditLimitMicros: values.CREDIT_LIMIT_USD,
  };
}

function s3Settings(values: z.output<typeof settings>): S3Settings | null {
  const { S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY } = values;
  if (!S3_ENDPOINT || !S3_BUCKET || !S3_ACCESS_KEY_ID || !S3_SECRET_ACCESS_KEY) return null;
  return {
    endpoint: S3_ENDPOINT,
    bucket: S3_BUCKET,
    region: values.S3_REGION,
    accessKeyId: S3_ACCESS_KEY_ID,
    secretAccessKey: S3_SECRET_ACCESS_KEY,
    prefix: values.S3_PREFIX,
  };
}

/** `.computefabric` at the root of the checkout, where the database's own commands look too. */
function defaultHome(): string {
  return join(dirname(dirname(findMigrationsFolder())), '.computefabric');
}
