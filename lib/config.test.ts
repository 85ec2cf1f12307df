import { describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';

const required = { DATABASE_URL: 'postgres://reader@127.0.0.1/market' };

describe("the dashboard's settings", () => {
  it('need nothing but the database', () => {
    expect(parseConfig(required)).toEqual({
      orchestratorUrl: 'http://127.0.0.1:4000',
      databaseUrl: required.DATABASE_URL,
      localToken: null,
    });
  });

  it('say what is missing when the database is', () => {
    expect(() => parseConfig({})).toThrow(
      /DATABASE_URL: is missing: give the address of the PostgreSQL database/,
    );
    expect(() => parseConfig({ DATABASE_URL: '' })).toThrow(/DATABASE_URL: is missing/);
  });

  it('name every wrong setting at once', () => {
    const wrong = () => parseConfig({ DATABASE_URL: 'mysql://x', COMPUTEFABRIC_URL: 'ftp://x' });
    expect(wrong).toThrow(/DATABASE_URL: must start with postgres/);
    expect(wrong).toThrow(/COMPUTEFABRIC_URL/);
  });

  it('take an orchestrator address with a slash at its end', () => {
    expect(parseConfig({ ...required, COMPUTEFABRIC_URL: 'https://gpu.example.org/' }).orchestratorUrl).toBe(
      'https://gpu.example.org',
    );
  });

  it('never print the local key', () => {
    const { localToken } = parseConfig({ ...required, DASHBOARD_LOCAL_TOKEN: 'cf_secret' });
    expect(String(localToken) + JSON.stringify(localToken)).not.toContain('cf_secret');
    expect(localToken?.reveal()).toBe('cf_secret');
  });
});
