import { TypeID } from 'typeid-js';
import { expect, test } from 'vitest';
import { jobId, newId } from './ids.ts';

test('a fresh id is a UUIDv7 of this moment, and no two are the same', () => {
  const before = Date.now();
  const ids = Array.from({ length: 5_000 }, () => newId('job'));
  const after = Date.now();
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) {
    expect(jobId.safeParse(id).success, id).toBe(true);
    const uuid = TypeID.fromString(id).toUUID();
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const ms = Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
    expect(ms).toBeGreaterThanOrEqual(before);
    expect(ms).toBeLessThanOrEqual(after);
  }
  expect(TypeID.fromUUID('job', TypeID.fromString(ids[0] ?? '').toUUID()).toString()).toBe(ids[0]);
});

test('every random bit of an id takes both values', () => {
  const seen = { ones: 0n, zeros: 0n };
  for (let count = 0; count < 500; count += 1) {
    const bits = BigInt(`0x${TypeID.fromString(newId('lease')).toUUID().replaceAll('-', '')}`);
    seen.ones |= bits;
    seen.zeros |= ~bits & (2n ** 128n - 1n);
  }
  const random = (2n ** 12n - 1n) * 2n ** 64n + (2n ** 62n - 1n);
  expect(seen.ones & random).toBe(random);
  expect(seen.zeros & random).toBe(random);
});
