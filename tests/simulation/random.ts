/** Numbers that look random and follow from the seed alone. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds begin alike; a few rounds tell them apart.
    for (let round = 0; round < 8; round += 1) this.next();
  }

  /** From 0 (included) to 1 (not). The generator is mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(this.next() * choices.length)];
    if (choice === undefined) throw new Error('nothing to pick from');
    return choice;
  }
}

/** Bytes of chance that an id takes. */
const bytesPerId = 10;

/**
 * Makes the ids of this process grow in the order of their making, also within a millisecond: what the product
 * sorts by id is then sorted alike in each replay. Call it before the first id is made.
 */
export function countIds(): void {
  let count = 0;
  Object.defineProperty(globalThis.crypto, 'getRandomValues', {
    configurable: true,
    value: (bytes: Uint8Array) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      bytes.fill(0);
      for (let at = 0; at + bytesPerId <= bytes.byteLength; at += bytesPerId) {
        view.setUint32(at + bytesPerId - Uint32Array.BYTES_PER_ELEMENT, count);
        count += 1;
      }
      return bytes;
    },
  });
}
