import fc from 'fast-check';
import { expect, test } from 'vitest';
import { limits } from '../../limits.ts';
import { isStateDirectory } from '../../user-api/run-terms.ts';
import { checkpointManifest, chunkCount, chunkSize, isInnerLink } from './checkpoints.ts';

const hash = 'a'.repeat(64);
const attributes = { mode: 0o644, uid: 0, gid: 0 };
const file = (path: string, size = 1) => ({
  path,
  ...attributes,
  mtime_seconds: 0,
  size_bytes: size,
  chunks: Array.from({ length: chunkCount(size) }, () => hash),
});
const accepts = (change: object) =>
  checkpointManifest.safeParse({ version: 1, folders: [], files: [], links: [], ...change }).success;

test('the chunks of a file add up to its size, all but the last full', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: limits.checkpointBytes }), (size) => {
      const sizes = Array.from({ length: chunkCount(size) }, (_, index) => chunkSize(size, index));
      expect(sizes.reduce((sum, each) => sum + each, 0)).toBe(size);
      expect(sizes.every((each) => each > 0 && each <= limits.checkpointChunkBytes)).toBe(true);
      expect(sizes.slice(0, -1).every((each) => each === limits.checkpointChunkBytes)).toBe(true);
    }),
  );
});

test('a state is files, folders and inner links, each path once and none below a file or link', () => {
  expect(
    accepts({ files: [file('a'), file('b/c', 9_000_000)], folders: [{ path: 'b', ...attributes }] }),
  ).toBe(true);
  expect(accepts({ files: [file('a')], links: [{ path: 'latest', target: './a' }] })).toBe(true);
  expect(accepts({ files: [file('a'), file('a')] })).toBe(false);
  expect(accepts({ files: [file('a'), file('a/b')] })).toBe(false);
  expect(accepts({ files: [file('l/x')], links: [{ path: 'l', target: 'elsewhere' }] })).toBe(false);
  expect(accepts({ links: [{ path: 'l', target: '/etc' }] })).toBe(false);
  expect(accepts({ files: [{ ...file('a'), mode: 0o4755 }] })).toBe(false);
  expect(accepts({ files: [{ ...file('a'), chunks: [] }] })).toBe(false);
  expect(accepts({ files: [file('a', limits.checkpointBytes), file('b')] })).toBe(false);
});

test('no path of a manifest leaves the directory that it is unpacked in', () => {
  const parts = fc.array(fc.constantFrom('..', '.', '', 'a', 'b', '\\', '\u0000', '~'), { maxLength: 6 });
  fc.assert(
    fc.property(parts, (each) => {
      const path = each.join('/');
      if (!accepts({ files: [file(path)] })) return;
      expect(path.startsWith('/')).toBe(false);
      expect(path.split('/')).not.toContain('..');
      expect(path).not.toMatch(/[\\\u0000]/);
    }),
  );
});

test('an inner link, followed by its letters, ends inside', () => {
  const names = fc.array(fc.constantFrom('..', '.', 'a', 'b'), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(fc.constantFrom('d', 'e'), { minLength: 1, maxLength: 3 }), names, (at, to) => {
      const place: string[] = at.slice(0, -1);
      for (const part of to) {
        if (part === '..') {
          if (place.pop() === undefined) {
            expect(isInnerLink(at.join('/'), to.join('/'))).toBe(false);
            return;
          }
        } else if (part !== '.') place.push(part);
      }
      expect(isInnerLink(at.join('/'), to.join('/'))).toBe(true);
    }),
  );
  expect(isInnerLink('a', '/a')).toBe(false);
});

test('a state directory is an absolute path of its own', () => {
  expect(['/state', '/work/state-1', '/opt/a.b_c'].every(isStateDirectory)).toBe(true);
  for (const path of [
    'state',
    '/',
    '/a/../b',
    '/a//b',
    '/a/',
    '/proc/1',
    '/sys',
    '/dev/shm',
    '/outputs',
    '/outputs/x',
    '/a b',
    '/a\nb',
  ])
    expect(isStateDirectory(path), path).toBe(false);
});
