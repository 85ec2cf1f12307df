import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { expect, test } from 'vitest';
import { ToldOffers } from './poll-offers.ts';

const offer = (name: string) => ({ lease_id: `lease_${name}` }) as TaskSpec;

test('an offer is told once, and again when its machine may not have heard of it', () => {
  const told = new ToldOffers();
  expect(told.news(1, [offer('a')], 0)).toHaveLength(1);
  expect(told.news(1, [offer('a'), offer('b')], 500)).toEqual([offer('b')]);
  expect(told.news(1, [offer('a'), offer('b')], 2_100)).toEqual([offer('a')]);
  expect(told.news(1, [offer('a'), offer('b')], 2_600)).toEqual([offer('b')]);
});

test('a machine that begins anew hears of everything', () => {
  const told = new ToldOffers();
  told.news(1, [offer('a')], 0);
  expect(told.news(2, [offer('a')], 100)).toHaveLength(1);
});
