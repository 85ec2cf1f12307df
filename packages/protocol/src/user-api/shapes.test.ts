import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../limits.ts';
import { groupSpec } from './groups.ts';
import { arrayShape, memberCount, memberVariables } from './shapes.ts';

const problem = (value: unknown) => {
  const parsed = groupSpec.safeParse(value);
  return parsed.success ? null : parsed.error.issues.map((issue) => issue.path.join('.')).join(' ');
};
const spec = { image: 'busybox' };

describe('the members of an array', () => {
  test('are all combinations, each once, the last variable fastest', () => {
    const matrix = { lr: ['0.1', '0.01'], seed: ['1', '2'] };
    expect(memberVariables({ matrix })).toEqual([
      { lr: '0.1', seed: '1' },
      { lr: '0.1', seed: '2' },
      { lr: '0.01', seed: '1' },
      { lr: '0.01', seed: '2' },
    ]);
  });

  test('are as many as the product of the lists, all different where the values are, whatever the matrix', () => {
    const name = fc.stringMatching(/^[a-z]{1,6}$/);
    const values = fc.uniqueArray(fc.string({ maxLength: 4 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.dictionary(name, values, { minKeys: 1, maxKeys: 4 }), (matrix) => {
        const members = memberVariables({ matrix });
        const product = Object.values(matrix).reduce((all, list) => all * list.length, 1);
        expect(members).toHaveLength(product);
        expect(memberCount({ matrix })).toBe(product);
        expect(new Set(members.map((member) => JSON.stringify(member))).size).toBe(product);
        for (const member of members)
          for (const [variable, value] of Object.entries(member)) expect(matrix[variable]).toContain(value);
      }),
    );
  });

  test('take numbers and yes or no as their text', () => {
    const parsed = arrayShape.parse({ matrix: { lr: [0.1, 1e-7], on: [true, 'x'] } });
    expect(parsed.matrix).toEqual({ lr: ['0.1', '1e-7'], on: ['true', 'x'] });
  });

  test('are bounded before they are written down', () => {
    const long = Array.from({ length: 101 }, (_, index) => index);
    expect(problem({ spec, array: { matrix: { a: long, b: long } } })).toBe('array.matrix');
    expect(problem({ spec, array: { count: limits.arrayMembers + 1 } })).toBe('array.count');
    expect(problem({ spec, array: { count: limits.arrayMembers } })).toBeNull();
  });
});

test.each([
  ['neither array nor machines', { spec }, ''],
  ['both', { spec, array: { count: 2 }, machines: 2 }, ''],
  ['neither count nor matrix', { spec, array: {} }, 'array'],
  ['an empty matrix', { spec, array: { matrix: {} } }, 'array.matrix array.matrix'],
  ['a gang of one', { spec, machines: 1 }, 'machines'],
  ['a gang with retries', { spec: { ...spec, retries: { max: 1 } }, machines: 2 }, 'spec.retries.max'],
  [
    'a variable that the machine sets',
    { spec, array: { matrix: { COMPUTEFABRIC_X: ['1'] } } },
    'array.matrix',
  ],
  [
    'a variable that env has',
    { spec: { ...spec, env: { A: '1' } }, array: { matrix: { A: ['1'] } } },
    'array.matrix',
  ],
])('a group with %s is refused', (_what, value, paths) => {
  const parsed = groupSpec.safeParse(value);
  expect(parsed.success).toBe(false);
  for (const path of paths.split(' ')) expect(problem(value)).toContain(path);
});
