import { formatUsd } from '@computefabric/protocol/money';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import { AppError } from '@computefabric/runtime/errors';
import { unitPriceMicros } from './price.ts';

const wholeGpu = { gpus: 1, gpuMilli: 1_000, cpuMilli: 0 };

/**
 * Refuses a machine whose GPUs would be sold for less than the operator allows, also to spot jobs. What a machine
 * without a GPU asks is its owner's affair.
 *
 * @param floorMicros the least price of a GPU-hour; 0 is none
 * @throws AppError `request/invalid` with the field and the floor
 */
export function refuseBelowFloor(inventory: Inventory, floorMicros: bigint): void {
  if (inventory.gpus.length === 0) return;
  const prices = {
    pricePerGpuHourMicros: BigInt(inventory.price_per_gpu_hour_micros),
    pricePerCpuHourMicros: BigInt(inventory.price_per_cpu_hour_micros),
    spotPercent: inventory.spot_percent,
  };
  const floor = formatUsd(floorMicros);
  if (prices.pricePerGpuHourMicros < floorMicros) {
    const asked = formatUsd(prices.pricePerGpuHourMicros);
    refuse('price_per_gpu_hour_micros', `must be at least ${floor}, and is ${asked}`, floorMicros);
  }
  const spot = unitPriceMicros({ ...wholeGpu, class: 'spot' }, prices);
  if (spot < floorMicros) {
    const asked = `${inventory.spot_percent} % of ${formatUsd(prices.pricePerGpuHourMicros)} is ${formatUsd(spot)}`;
    refuse('spot_percent', `must leave at least ${floor}, and ${asked}`, floorMicros);
  }
}

function refuse(field: string, message: string, floorMicros: bigint): never {
  throw new AppError('request/invalid', {
    message: `The least price of a GPU-hour on this market, also for spot jobs, is ${formatUsd(floorMicros)}.`,
    fields: [{ path: `inventory.${field}`, message }],
    details: { price_floor_micros: String(floorMicros) },
  });
}
