import { z } from 'zod';

/**
 * What goes wrong on request:
 *
 * - `rate_limited`  429 before anything happens
 * - `down`          503 before anything happens
 * - `error`         500 before anything happens; kept under the idempotency key, as Stripe does
 * - `error_after`   done, but the answer is a 500, also to every repeat of the key
 * - `lost`          done, but the connection breaks before the answer
 * - `stall`         done, but the answer comes after `ms`
 * - `slow`          done after `ms`; until then the idempotency key is in use
 */
const faultKinds = ['rate_limited', 'down', 'error', 'error_after', 'lost', 'stall', 'slow'] as const;

export const faultForm = z.strictObject({
  kind: z.enum(faultKinds),
  method: z.enum(['GET', 'POST', 'DELETE']).optional(),
  /** Expression that the path must match. */
  path: z.string().default('.'),
  /** Matching requests that pass first. */
  skip: z.number().int().min(0).default(0),
  /** Matching requests that are hit; afterwards the fault is gone. */
  times: z.number().int().min(1).default(1),
  ms: z.number().int().min(0).default(60_000),
});
export type Fault = z.output<typeof faultForm>;

export class Faults {
  #faults: Fault[] = [];

  add(fault: z.input<typeof faultForm>): void {
    this.#faults.push({ ...faultForm.parse(fault) });
  }

  clear(): void {
    this.#faults = [];
  }

  /** The fault for this request, used up by asking. */
  take(method: string, path: string): Fault | undefined {
    const fault = this.#faults.find(
      (one) => (one.method === undefined || one.method === method) && new RegExp(one.path).test(path),
    );
    if (!fault) return undefined;
    if (fault.skip > 0) {
      fault.skip -= 1;
      return undefined;
    }
    fault.times -= 1;
    if (fault.times === 0) this.#faults = this.#faults.filter((one) => one !== fault);
    return fault;
  }
}
