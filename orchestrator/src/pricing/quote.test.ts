import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { costMicros, ratePerHourMicros } from './price.ts';
import { quoteTerms } from './quote.ts';

test('a price limit of the job goes before the default, and 0 is one', () => {
  const terms = (limit: string | null) =>
    quoteTerms(jobSpec.parse({ image: 'x', max_price_per_hour_micros: limit }), 500n).needs
      .maxPricePerHourMicros;
  expect([terms(null), terms('7'), terms('0')]).toEqual([500n, 7n, 0n]);
});

test('no bill of a job can exceed its hold, on any machine within its price limit', () => {
  const spec = fc.record({
    gpus: fc.integer({ min: 0, max: 8 }),
    cpus: fc.double({ min: 0.1, max: 256, noNaN: true }),
    seconds: fc.integer({ min: 1, max: 604_800 }),
    limit: fc.bigInt({ min: 0n, max: 100_000_000n }),
    price: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(spec, ({ gpus, cpus, seconds, limit, price }) => {
      const job = jobSpec.parse({ image: 'x', requirements: { gpus, cpus }, time_limit_seconds: seconds });
      const { needs, holdMicros } = quoteTerms(job, limit);
      const unit = BigInt(Math.floor(Number(limit) * price));
      const rate = ratePerHourMicros(needs, {
        pricePerGpuHourMicros: unit,
        pricePerCpuHourMicros: unit,
        spotPercent: 100,
      });
      expect(costMicros(seconds * 1_000, rate) <= holdMicros).toBe(true);
    }),
  );
});
