import { expect, test } from 'vitest';
import { isAllowed } from './domain-proxy.ts';

test.each([
  ['pypi.org', 443, ['pypi.org'], true],
  ['pypi.org', 80, ['pypi.org'], true],
  ['pypi.org', 22, ['pypi.org'], false],
  ['pypi.org', 8_443, ['pypi.org:8443'], true],
  ['pypi.org', 443, ['pypi.org:8443'], false],
  ['files.pypi.org', 443, ['pypi.org'], false],
  ['files.pypi.org', 443, ['*.pypi.org'], true],
  ['a.b.pypi.org', 443, ['*.pypi.org'], true],
  ['pypi.org', 443, ['*.pypi.org'], false],
  ['evilpypi.org', 443, ['*.pypi.org', 'pypi.org'], false],
  ['pypi.org.evil.com', 443, ['*.pypi.org', 'pypi.org'], false],
  ['.pypi.org', 443, ['*.pypi.org'], false],
])('%s:%i with %j: %s', (name, port, allow, expected) => {
  expect(isAllowed(name, port, allow)).toBe(expected);
});
