import { newBearer } from '@computefabric/protocol/api-key';
import { ConfigError } from '@computefabric/runtime/config';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { parseConfig } from './config.ts';

test('without any settings it is a market with play money on this machine', () => {
  expect(parseConfig({})).toMatchObject({
    http: { host: '127.0.0.1', port: 4_000 },
    databaseUrl: null,
    operatorToken: null,
    dashboardUrl: null,
    leases: {
      leaseTtlSeconds: 30,
      offerSeconds: 15,
      heartbeatSeconds: 10,
      maxAttempts: 1_000,
      platformFeeBps: 0,
      priceFloorPerGpuHourMicros: 0n,
    },
    money: { playMoney: true, playMoneyGrantMicros: 100_000_000n, defaultMaxPricePerHourMicros: 1_000_000n },
    checkReplies: true,
  });
  expect(parseConfig({}).home).toMatch(/\.computefabric$/);
});

test('heartbeats follow the lease time, and may not be so rare that one lost message costs a job', () => {
  expect(parseConfig({ LEASE_TTL_SECONDS: '6' }).leases.heartbeatSeconds).toBe(2);
  expect(() => parseConfig({ LEASE_TTL_SECONDS: '6', HEARTBEAT_SECONDS: '3.1' })).toThrow(
    /HEARTBEAT_SECONDS/,
  );
});

test('an S3 is configured whole or not at all, and its secret is not shown', () => {
  const whole = {
    S3_ENDPOINT: 'https://s3.example.org/',
    S3_BUCKET: 'market',
    S3_ACCESS_KEY_ID: 'key',
    S3_SECRET_ACCESS_KEY: 'canary-secret',
  };
  expect(parseConfig({}).objects.s3).toBeNull();
  const { objects } = parseConfig(whole);
  expect(objects.s3).toMatchObject({ endpoint: 'https://s3.example.org', bucket: 'market', prefix: '' });
  expect(inspect(objects, { depth: 9 })).not.toContain('canary');
  for (const name of ['S3_ENDPOINT', 'S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'])
    expect(() => parseConfig({ ...whole, [name]: undefined }), name).toThrow(/S3_ENDPOINT/);
  expect(() => parseConfig({ ...whole, S3_PREFIX: '../other' })).toThrow(/S3_PREFIX/);
});

test('a payment provider ends the play money, and production the check of our replies', () => {
  expect(parseConfig({ STRIPE_SECRET_KEY: 'sk_test_x' }).money.playMoney).toBe(false);
  expect(parseConfig({ NODE_ENV: 'production' }).checkReplies).toBe(false);
});

test('every wrong setting is named, and no secret is shown, in the refusal or in the settings', () => {
  const wrong = {
    ORCHESTRATOR_PORT: '0',
    COMPUTEFABRIC_OPERATOR_TOKEN: 'canary',
    DEFAULT_MAX_PRICE_PER_HOUR_USD: '-1',
    PLATFORM_FEE_BPS: '10001',
    PRICE_FLOOR_PER_GPU_HOUR_USD: '-0.10',
    DASHBOARD_URL: 'ftp://x',
  };
  expect(() => parseConfig(wrong)).toThrow(ConfigError);
  for (const name of Object.keys(wrong)) expect(() => parseConfig(wrong)).toThrow(new RegExp(name));
  expect(() => parseConfig(wrong)).not.toThrow(/canary/);
  const token = newBearer('user').token;
  const config = parseConfig({
    COMPUTEFABRIC_OPERATOR_TOKEN: token,
    DATABASE_URL: 'postgres://u:canary@h/d',
    STRIPE_SECRET_KEY: 'sk_test_canary',
  });
  const printed = inspect(config, { depth: 9 });
  expect(printed).not.toContain(token.slice(-43));
  expect(printed).not.toContain('canary');
});

test('a live key goes to Stripe alone, and never to what stands in for it', () => {
  const STRIPE_SECRET_KEY = 'sk_live_canary';
  expect(parseConfig({ STRIPE_SECRET_KEY }).stripe?.address).toEqual({
    protocol: 'https',
    host: 'api.stripe.com',
    port: 443,
  });
  for (const STRIPE_API_BASE of [
    'http://127.0.0.1:12111',
    'http://api.stripe.com',
    'https://stripe.example',
  ]) {
    expect(() => parseConfig({ STRIPE_SECRET_KEY, STRIPE_API_BASE })).toThrow(/STRIPE_API_BASE.*live key/);
    expect(parseConfig({ STRIPE_SECRET_KEY: 'sk_test_x', STRIPE_API_BASE }).stripe).not.toBeNull();
  }
  expect(() => parseConfig({ STRIPE_API_BASE: 'http://127.0.0.1:1/v1' })).toThrow(/STRIPE_API_BASE/);
});

test('a currency without cents is refused with the reason', () => {
  expect(() => parseConfig({ STRIPE_CURRENCY: 'JPY' })).toThrow(/STRIPE_CURRENCY.*no hundredths/);
  expect(() => parseConfig({ STRIPE_CURRENCY: 'eur' })).toThrow(/STRIPE_CURRENCY.*usd/);
});
