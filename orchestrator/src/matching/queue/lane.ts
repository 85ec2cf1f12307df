/** Between so many dropped entries at its front an array is cut; rarely enough to cost nothing. */
const cutAfter = 1_024;

interface Entry {
  readonly key: number;
  /** It has left; it is dropped when the lane comes to it. */
  readonly gone: boolean;
}

/** One account's entries of one shape, in order. Nearly all come at the end, as time goes on. */
export class Lane<E extends Entry> {
  #entries: E[] = [];
  #first = 0;
  /** Entries that have not left. */
  size = 0;

  add(entry: E): void {
    this.size += 1;
    const last = this.#entries.at(-1);
    if (!last || last.key <= entry.key) {
      this.#entries.push(entry);
      return;
    }
    this.#entries.splice(this.#placeOf(entry.key), 0, entry);
  }

  /** An entry of the lane has been marked as gone. */
  left(): void {
    this.size -= 1;
  }

  head(): E | null {
    while (this.#first < this.#entries.length) {
      const entry = this.#entries[this.#first];
      if (entry && !entry.gone) return entry;
      this.#first += 1;
      if (this.#first >= cutAfter && this.#first * 2 >= this.#entries.length) {
        this.#entries = this.#entries.slice(this.#first);
        this.#first = 0;
      }
    }
    this.#entries = [];
    this.#first = 0;
    return null;
  }

  /** The first place whose entry comes after `key`. */
  #placeOf(key: number): number {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.key ?? 0) <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
