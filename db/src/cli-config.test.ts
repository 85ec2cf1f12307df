import { expect, it } from 'vitest';
import { parseCliConfig } from './cli-config.ts';

it('prefers the flag to the variable, and the variable to .computefabric beside db/', () => {
  const env = { COMPUTEFABRIC_HOME: '/from/env' };
  expect(parseCliConfig(['start', '--home', '/from/flag'], env)).toMatchObject({ home: '/from/flag' });
  expect(parseCliConfig(['start'], env)).toMatchObject({ home: '/from/env', databaseUrl: null });
  const byDefault = parseCliConfig(['start'], { COMPUTEFABRIC_HOME: '' });
  expect(byDefault).toMatchObject({ home: new URL('../../.computefabric', import.meta.url).pathname });
});

it('reads every command and its options', () => {
  expect(parseCliConfig(['migrate'], { DATABASE_URL: 'postgresql://h/d' })).toMatchObject({
    command: 'migrate',
    databaseUrl: 'postgresql://h/d',
  });
  expect(parseCliConfig(['start', '--json'], {})).toMatchObject({ command: 'start', json: true });
  expect(parseCliConfig(['stop', '--if-only-used-by', 'me'], {})).toMatchObject({ ifOnlyUsedBy: 'me' });
});

it('names what it does not understand', () => {
  expect(parseCliConfig([], {})).toEqual({ error: 'Say what to do.' });
  expect(parseCliConfig(['destroy'], {})).toEqual({ error: 'Unknown command: destroy' });
  expect(parseCliConfig(['start', 'now'], {})).toEqual({ error: 'Unexpected argument: now' });
  expect(parseCliConfig(['remove'], {})).toMatchObject({ error: expect.stringContaining('--yes') });
  expect(parseCliConfig(['remove', '--yes'], {})).toMatchObject({ command: 'remove' });
  expect(parseCliConfig(['start', '--wipe'], {})).toMatchObject({ error: expect.stringContaining('--wipe') });
});
