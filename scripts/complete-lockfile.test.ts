import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { missingEntries } from './complete-lockfile.mjs';

describe('the lock file', () => {
  test('lists the packages of every platform, so that npm ci accepts it (else run scripts/complete-lockfile.mjs)', () => {
    const file = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8');
    const { packages } = JSON.parse(file) as { packages: Parameters<typeof missingEntries>[0] };
    expect(Object.keys(packages).length).toBeGreaterThan(400);
    expect(missingEntries(packages)).toEqual({});
  });

  test('gets an entry for a platform that the registry did not know', () => {
    const packages = {
      'node_modules/tool': {
        version: '1.2.3',
        dev: true,
        optionalDependencies: {
          '@tool/linux-x64-musl': '1.2.3',
          '@tool/darwin-arm64': '1.2.3',
          other: '^1.0.0',
        },
      },
      'node_modules/@tool/darwin-arm64': { version: '1.2.3' },
    };
    expect(missingEntries(packages)).toEqual({
      'node_modules/@tool/linux-x64-musl': {
        version: '1.2.3',
        cpu: ['x64'],
        dev: true,
        libc: ['musl'],
        optional: true,
        os: ['linux'],
      },
    });
  });
});
