import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestMarket, type TestMarket } from '../../testing/test-market.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await startTestMarket();
});
afterAll(() => market.close());

test('it says that it lives, and that it is ready with everything that it needs', async () => {
  expect(JSON.parse((await market.call('/healthz')).text)).toEqual({ status: 'ok' });
  const ready = await market.call('/readyz');
  expect(ready.status).toBe(200);
  expect(JSON.parse(ready.text)).toEqual({
    status: 'ready',
    checks: { migrated: true, listening: true, database: true },
  });
});

test('the metrics name every state, the requests by route, and books without a difference', async () => {
  const user = await market.addUser();
  await market.call('/v1/me', { token: user.token });
  await market.call('/v1/unknown/path');
  const { text, headers } = await market.call('/metrics');
  expect(headers.get('content-type')).toContain('text/plain');
  for (const line of [
    'computefabric_jobs{state="queued"} 0',
    'computefabric_leases{state="active"} 0',
    'computefabric_providers{state="online"} 0',
    'computefabric_payments_unsettled{age="over_a_minute"} 0',
    'computefabric_ledger_differences{rule="all"} 0',
    'computefabric_http_request_duration_seconds_count{route="whoAmI",method="GET",status="200"} 1',
    'computefabric_http_request_duration_seconds_count{route="none",method="any",status="404"} 1',
  ]) {
    expect(text).toContain(line);
  }
});

test('the documentation is served from here and may load nothing from elsewhere', async () => {
  const page = await market.call('/docs');
  expect(page.status).toBe(200);
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  const loaded = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address ?? '');
  expect(loaded.length).toBeGreaterThan(3);
  for (const address of [...loaded, '/openapi.json']) {
    expect(address).toMatch(/^\//);
    expect((await market.call(address)).status, address).toBe(200);
  }
  expect(page.text).not.toMatch(/<script>|onload=|https?:\/\//);
  const description = JSON.parse((await market.call('/openapi.json')).text) as { openapi: string };
  expect(description.openapi).toBe('3.1.0');
});

test('the schema of the job file is served to any editor, and is the one that is published', async () => {
  const answer = await market.call('/schemas/computefabric.json');
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toContain('application/schema+json');
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  const published = fileURLToPath(new URL('../../../../docs/computefabric.schema.json', import.meta.url));
  expect(JSON.parse(answer.text)).toEqual(JSON.parse(await readFile(published, 'utf8')));
});

test('every answer forbids to be sniffed, framed or run', async () => {
  const { headers } = await market.call('/v1/jobs');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'");
  expect(headers.get('x-powered-by')).toBeNull();
  expect(headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
  const named = await market.call('/v1/jobs', { headers: { 'x-request-id': 'mine-1' } });
  expect(named.headers.get('x-request-id')).toBe('mine-1');
  expect(JSON.parse(named.text)).toMatchObject({ error: { request_id: 'mine-1' } });
});
