import { parseBearer } from '@computefabric/protocol/api-key';
import { expect, test } from 'vitest';
import { newApiKey } from './dev-env.mjs';

test('a key made before anything is installed has the form that the orchestrator accepts', () => {
  for (let i = 0; i < 200; i++) {
    const parsed = parseBearer(newApiKey());
    expect(parsed?.kind).toBe('user');
    expect(parsed?.secret).toHaveLength(43);
  }
});
