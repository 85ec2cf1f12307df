import { createTestDatabase } from '@computefabric/db/testing';
import { expect, test } from 'vitest';
import { runStorm } from './run-storm.ts';

test('a storm of holds, posts, voids, refunds, debts, payouts, disputes, crashes and repeats leaves the books exact', async () => {
  const database = await createTestDatabase();
  try {
    // A million operations: npm run ledger:storm -- --operations 1000000
    const result = await runStorm(database.url, { seed: 7, operations: 5_000, workers: 4 });
    expect(result.faults).toEqual([]);
    // It was a storm.
    for (const name of ['refused', 'rolledBack', 'cut', 'replayed'] as const) {
      expect(result[name], name).toBeGreaterThan(0);
    }
  } finally {
    await database.close();
  }
}, 120_000);
