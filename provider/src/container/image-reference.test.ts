import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseImageReference } from './image-reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;

test.each([
  ['busybox', 'busybox', 'latest'],
  ['busybox:1.36', 'busybox', '1.36'],
  ['pytorch/pytorch:2.4-cuda12', 'pytorch/pytorch', '2.4-cuda12'],
  ['127.0.0.1:5000/x', '127.0.0.1:5000/x', 'latest'],
  ['127.0.0.1:5000/team/x:v1', '127.0.0.1:5000/team/x', 'v1'],
  ['localhost/x', 'localhost/x', 'latest'],
  ['[::1]:5000/x:v1', '[::1]:5000/x', 'v1'],
  ['GHCR.io/owner/x__y.z-1', 'GHCR.io/owner/x__y.z-1', 'latest'],
  [`x@${digest}`, 'x', digest],
  [`r.test:1/x:tag@${digest}`, 'r.test:1/x', digest],
])('%s is read', (reference, repository, tagOrDigest) => {
  expect(parseImageReference(reference)).toEqual({ repository, tagOrDigest });
});

test.each([
  '',
  'UPPER/case',
  'a b',
  'x:',
  ':tag',
  'x@sha256:short',
  `x@${digest}@${digest}`,
  '../etc',
  'a//b',
  '/a',
  'a/',
  'x?query',
  'x#fragment',
  '--flag',
  'http://x/y',
  `x:${'t'.repeat(129)}`,
  'x'.repeat(600),
])('"%s" is refused', (reference) => {
  expect(() => parseImageReference(reference)).toThrow(
    expect.objectContaining({ code: 'image-reference-invalid' }),
  );
});

test('what is accepted can stand in a path and a query without meaning anything there', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const { repository, tagOrDigest } = parseImageReference(text);
        expect(`${repository}${tagOrDigest}`).toMatch(/^[\w.:/[\]-]+$/);
        expect(repository.split('/')).not.toContain('..');
      } catch (error) {
        expect(error).toMatchObject({ code: 'image-reference-invalid' });
      }
    }),
    { numRuns: 2_000 },
  );
});
