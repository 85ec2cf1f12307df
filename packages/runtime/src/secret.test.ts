import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { ConfigError, parseSettings } from './config.ts';
import { Secret, secretSetting } from './secret.ts';

test('a secret prints as [redacted] however it is printed', () => {
  const secret = new Secret('hunter2');
  for (const text of [
    String(secret),
    secret.toString(),
    JSON.stringify({ secret }),
    inspect({ secret }, { depth: 5 }),
  ]) {
    expect(text).not.toContain('hunter2');
    expect(text).toContain('[redacted]');
  }
  expect(secret.reveal()).toBe('hunter2');
});

test('a wrong setting is refused by name and the value of a secret stays out of the message', () => {
  const schema = z.object({ PORT: z.coerce.number(), TOKEN: secretSetting });
  expect(() => parseSettings(schema, { PORT: 'x', TOKEN: 'hunter2' })).toThrow(ConfigError);
  expect(() => parseSettings(schema, { PORT: 'x', TOKEN: 'hunter2' })).toThrow(/PORT/);
  expect(() => parseSettings(schema, { PORT: 'x', TOKEN: 'hunter2' })).not.toThrow(/hunter2/);
  expect(
    parseSettings(schema.extend({ PORT: z.coerce.number().default(5) }), { PORT: '', TOKEN: 'a' }).PORT,
  ).toBe(5);
});
