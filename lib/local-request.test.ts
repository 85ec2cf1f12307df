import { describe, expect, it } from 'vitest';
import { isLocalRequest } from './local-request.ts';

const local = (headers: Record<string, string>) => isLocalRequest(new Headers(headers));

describe('local mode', () => {
  it.each([
    'localhost',
    'localhost:3000',
    'app.localhost:3000',
    '127.0.0.1:3000',
    '127.8.9.10',
    '[::1]:3000',
  ])('takes %s for this machine', (host) => {
    expect(local({ host })).toBe(true);
  });

  it.each([
    'evil.example:3000',
    'localhost.evil.example',
    '127.0.0.1.nip.io:3000',
    '127.0.0.1@evil.example',
    '192.168.1.5:3000',
    '0.0.0.0:3000',
    '[::2]:3000',
    '127.0.0.256',
    '2130706433',
    '',
  ])('does not take "%s" for this machine, wherever that name points', (host) => {
    expect(local({ host })).toBe(false);
  });

  it('is off without a host', () => {
    expect(local({})).toBe(false);
  });

  it('is off when a proxy in front of us says that the request came from elsewhere', () => {
    expect(local({ host: 'localhost:3000', 'x-forwarded-for': '203.0.113.9' })).toBe(false);
    expect(local({ host: 'localhost:3000', 'x-forwarded-for': '127.0.0.1, 203.0.113.9' })).toBe(false);
    expect(local({ host: 'localhost:3000', 'x-forwarded-host': 'gpu.example.org' })).toBe(false);
    expect(local({ host: 'localhost:3000', forwarded: 'for=203.0.113.9' })).toBe(false);
  });

  it('is on with the headers that Next adds by itself', () => {
    const forwarded = { 'x-forwarded-host': 'localhost:3000', 'x-forwarded-for': '::ffff:127.0.0.1' };
    expect(local({ host: 'localhost:3000', ...forwarded })).toBe(true);
    expect(local({ host: '[::1]:3000', 'x-forwarded-for': '::1' })).toBe(true);
  });

  it('does not answer what another site makes the browser fetch, but does open a page that it links to', () => {
    const host = 'localhost:3000';
    expect(local({ host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).toBe(false);
    expect(local({ host, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' })).toBe(false);
    expect(local({ host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).toBe(true);
    expect(local({ host, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' })).toBe(true);
    expect(local({ host, 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' })).toBe(true);
  });
});
