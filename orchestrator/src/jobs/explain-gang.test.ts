import type { Waiting } from '@computefabric/protocol/user-api/quotes';
import { expect, test } from 'vitest';
import { explain } from '../matching/explain.ts';
import { needsWith } from '../matching/machine-view.ts';
import { testMachine } from '../testing/test-machine.ts';
import { explainGang } from './explain-gang.ts';

const needs = needsWith({ gpus: 1, maxPricePerHourMicros: 1_000_000n });

function why(owners: string[], spoiledBy: string[] = []): Waiting {
  const machines = owners.map((owner, index) => testMachine(`m${index}`, { ownerId: `user_${owner}` }));
  const alone = explain(needs, machines, { position: 1, now: new Date(0), ahead: [] });
  const gang = {
    size: 2,
    renterId: 'user_renter' as const,
    spoiledBy: spoiledBy.map((owner) => `user_${owner}` as const),
  };
  return explainGang(alone, needs, machines, gang);
}

test('a gang for which two machines have room is told to be about to start', () => {
  expect(why(['a', 'b']).summary).toContain('about to start');
  expect(why(['renter', 'renter']).summary).toContain('about to start');
  expect(why(['a', 'a'], ['a']).summary).toContain('about to start');
});

test('a gang that waits although enough machines are free is told whose machines may not be mixed', () => {
  for (const waiting of [why(['renter', 'b']), why(['a', 'b'], ['a'])]) {
    expect(waiting.summary).toMatch(/^It needs 2 machines at the same time, and 2 machines have room/);
    expect(waiting.summary).toContain('only among themselves');
    expect(waiting.suggestion).toBeNull();
  }
  expect(why(['a']).summary).not.toContain('only among themselves');
});
