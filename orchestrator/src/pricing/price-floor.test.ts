import { expect, test } from 'vitest';
import { testCards, testInventory } from '../testing/market-fixture.ts';
import { refuseBelowFloor } from './price-floor.ts';

const machine = (price: bigint, spotPercent = 100, gpus = testCards(1)) => ({
  ...testInventory,
  gpus,
  price_per_gpu_hour_micros: String(price),
  spot_percent: spotPercent,
});

test('a price at the floor stands, and one a micro below it is refused with the field and the floor', () => {
  expect(() => refuseBelowFloor(machine(100_000n), 100_000n)).not.toThrow();
  expect(() => refuseBelowFloor(machine(99_999n), 100_000n)).toThrow(
    expect.objectContaining({
      code: 'request/invalid',
      message: 'The least price of a GPU-hour on this market, also for spot jobs, is $0.10.',
      fields: [
        {
          path: 'inventory.price_per_gpu_hour_micros',
          message: 'must be at least $0.10, and is $0.099999',
        },
      ],
      details: { price_floor_micros: '100000' },
    }),
  );
});

test('nobody gets below the floor by a low spot price', () => {
  expect(() => refuseBelowFloor(machine(200_000n, 50), 100_000n)).not.toThrow();
  expect(() => refuseBelowFloor(machine(200_000n, 49), 100_000n)).toThrow(
    expect.objectContaining({
      fields: [
        {
          path: 'inventory.spot_percent',
          message: 'must leave at least $0.10, and 49 % of $0.20 is $0.098',
        },
      ],
    }),
  );
});

test('without a floor, and for a machine without a GPU, every price stands', () => {
  expect(() => refuseBelowFloor(machine(0n, 1), 0n)).not.toThrow();
  expect(() => refuseBelowFloor(machine(0n, 1, []), 100_000n)).not.toThrow();
});
