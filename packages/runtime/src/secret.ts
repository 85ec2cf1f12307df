import { inspect } from 'node:util';
import { z } from 'zod';

const redacted = '[redacted]';

/** A value that must never be printed: every way of turning it into text gives `[redacted]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself, for the one place that needs it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }
}

/** A setting that holds a secret. */
export const secretSetting = z
  .string()
  .min(1)
  .transform((value) => new Secret(value));
