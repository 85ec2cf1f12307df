import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { contentSecurityPolicy, emptyStyleHash, toasterStyleHash } from './content-security-policy.ts';

function hashSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

describe("a page's content security policy", () => {
  const policy = contentSecurityPolicy({ nonce: 'bm9uY2U=', development: false });

  it('allows no inline code, no evaluation and no other origin', () => {
    expect(policy).not.toMatch(/unsafe-|https?:|\*|ws:/);
    expect(policy).toContain("script-src 'self' 'nonce-bm9uY2U=' 'strict-dynamic'");
  });

  it('forbids framing, plug-ins and a changed base address', () => {
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("base-uri 'none'");
  });

  it('names the style sheet of the installed toast library', () => {
    const source = readFileSync(new URL('../node_modules/sonner/dist/index.mjs', import.meta.url), 'utf8');
    const literal = /__insertCSS\(("(?:[^"\\]|\\.)*")\)/.exec(source)?.[1];
    const css: unknown = JSON.parse(literal ?? '');
    expect(toasterStyleHash).toBe(hashSource(String(css)));
    expect(emptyStyleHash).toBe(hashSource(''));
  });
});
