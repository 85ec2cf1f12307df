import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { DockerEngine } from './docker-engine.ts';

test('what the client library writes of a request does not grow with the connections that are open', () => {
  const agent: unknown = Reflect.get(new DockerEngine({ socketPath: '/nowhere' }).client.modem, 'agent');
  // As the library does, for every request.
  expect(inspect({ agent }, { showHidden: true, depth: null })).toBe('{ agent: Agent }');
});
