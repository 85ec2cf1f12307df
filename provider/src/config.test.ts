import { ConfigError } from '@computefabric/runtime/config';
import { availableParallelism, hostname } from 'node:os';
import { expect, test } from 'vitest';
import { parseConfig } from './config.ts';

test('with no settings the agent offers the whole machine, less what its owner’s system needs', () => {
  const config = parseConfig({});
  expect(config).toMatchObject({
    orchestratorUrl: 'http://127.0.0.1:4000',
    joinToken: null,
    name: hostname(),
    network: { most: 'internet', denied: [], resolvers: ['1.1.1.1', '9.9.9.9'], megabitsPerSecond: null },
    dockerHost: null,
    prices: { perGpuHourMicros: 350_000n, perCpuHourMicros: 20_000n },
    simulatedGpus: '',
    spotPercent: 100,
    sharesGpus: false,
    region: '',
    logLevel: 'info',
  });
  expect(config.offered.cpus).toBe(availableParallelism());
  expect(config.offered.memoryMib).toBeGreaterThan(0);
  expect(config.home).toMatch(/\/\.computefabric\/provider$/);
});

test('caps bound what is offered and prices are read to the micro', () => {
  const config = parseConfig({
    COMPUTEFABRIC_URL: 'https://market.example/',
    PROVIDER_CPUS: '0.5',
    PROVIDER_MEMORY_MIB: '256',
    PROVIDER_PRICE_PER_GPU_HOUR: '1.234567',
    PROVIDER_NETWORK: 'allowlist',
    PROVIDER_NETWORK_DENY: '203.0.113.0/24, 198.51.100.7/32',
    PROVIDER_NETWORK_MBPS: '50',
    PROVIDER_REGION: 'eu-west',
    PROVIDER_SHARE_GPUS: 'true',
    PROVIDER_SPOT_PERCENT: '60',
  });
  expect(config.offered).toEqual({ cpus: 0.5, memoryMib: 256 });
  expect(config.prices.perGpuHourMicros).toBe(1_234_567n);
  expect(config.orchestratorUrl).toBe('https://market.example');
  expect(config.network).toEqual({
    most: 'allowlist',
    denied: ['203.0.113.0/24', '198.51.100.7/32'],
    resolvers: ['1.1.1.1', '9.9.9.9'],
    megabitsPerSecond: 50,
  });
  expect(config).toMatchObject({ region: 'eu-west', sharesGpus: true, spotPercent: 60 });
});

test('every wrong setting is named and the token is not shown', () => {
  const env = {
    COMPUTEFABRIC_URL: 'ftp://x',
    PROVIDER_NETWORK: 'host',
    PROVIDER_SPOT_PERCENT: '0',
    PROVIDER_SHARE_GPUS: 'perhaps',
    PROVIDER_REGION: 'EU West',
    PROVIDER_PRICE_PER_GPU_HOUR: '-1',
    PROVIDER_JOIN_TOKEN: 'hunter2',
  };
  expect(() => parseConfig(env)).toThrow(ConfigError);
  expect(() => parseConfig(env)).toThrow(
    /COMPUTEFABRIC_URL[\s\S]*PROVIDER_PRICE_PER_GPU_HOUR[\s\S]*PROVIDER_SPOT_PERCENT[\s\S]*PROVIDER_SHARE_GPUS[\s\S]*PROVIDER_REGION[\s\S]*PROVIDER_NETWORK/,
  );
  expect(() => parseConfig(env)).not.toThrow(/hunter2/);
  expect(JSON.stringify(parseConfig({ PROVIDER_JOIN_TOKEN: 'hunter2' }).joinToken)).toBe('"[redacted]"');
});
