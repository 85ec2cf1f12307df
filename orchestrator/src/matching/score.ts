import { ratePerHourMicros } from '../pricing/price.ts';
import type { JobNeeds, MachineView } from './machine-view.ts';

/** Pulling an image is not billed, and costs the renter this much waiting. */
const pullSeconds = 60;
/** What a home line brings in a second: 100 Mbit/s. State is put back before the meter starts; it costs waiting too. */
const fetchBytesPerSecond = 12_500_000;
/** Most runs end well before their limit; a wait is weighed against a run of this share of it. */
const usualShareOfLimit = 0.3;
/** No machine is taken for worse than this: its record may be young. */
const leastReliability = 0.2;
/** Machines whose worth differs by less are equally good, and packing decides. */
const stepPercent = 1;

/**
 * What an hour of finished work on a machine is expected to cost, micros: its price, times the tries that its
 * record lets expect, times the time that is waited for the image (null asks about none) and for the saved state
 * that is not there. Lower is better.
 *
 * @param fetchBytes of the job's state to be fetched there
 */
export function expectedRateMicros(
  needs: JobNeeds,
  image: string | null,
  machine: Pick<
    MachineView,
    'pricePerGpuHourMicros' | 'pricePerCpuHourMicros' | 'spotPercent' | 'reliabilityMilli' | 'cachedImages'
  >,
  fetchBytes = 0,
): number {
  const rate = Number(ratePerHourMicros(needs, machine));
  const tries = 1 / Math.max(leastReliability, machine.reliabilityMilli / 1_000);
  const lacksImage = image !== null && !machine.cachedImages.includes(image);
  const waitSeconds = (lacksImage ? pullSeconds : 0) + fetchBytes / fetchBytesPerSecond;
  const usualSeconds = Math.max(pullSeconds, usualShareOfLimit * needs.timeLimitSeconds);
  return rate * tries * (1 + waitSeconds / usualSeconds);
}

/** The step on which an expected rate stands: equal for machines that are equally good. */
export function rateStep(expectedMicros: number): number {
  return Math.round(Math.log(Math.max(1, expectedMicros)) / Math.log(1 + stepPercent / 100));
}
