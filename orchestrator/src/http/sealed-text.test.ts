import { expect, test } from 'vitest';
import { seal, unseal } from './sealed-text.ts';

test('a sealed text opens with its own secret only, and is another one each time', () => {
  const sealed = seal('ünïcode', 'secret');
  expect(unseal(sealed, 'secret')).toBe('ünïcode');
  expect(unseal(sealed, 'Secret')).toBeNull();
  expect(seal('ünïcode', 'secret')).not.toBe(sealed);
  expect(unseal(sealed.replace(/^.{4}/, 'AAAA'), 'secret')).toBeNull();
  expect(unseal('', 'secret')).toBeNull();
});
