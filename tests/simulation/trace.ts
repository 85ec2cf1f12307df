/** What happened in a run, one line each. Ids are random, so every id is written as the number of its kind. */
export class Trace {
  readonly lines: string[] = [];
  readonly #numbers = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  add(line: string): void {
    this.lines.push(this.readable(line));
  }

  /** The text with `job#3` for the third job that was ever named, and so on. */
  readable(text: string): string {
    return text.replace(/\b([a-z]+)_[0-7][0-9a-hjkmnp-tv-z]{25}\b/g, (id, kind: string) => {
      const known = this.#numbers.get(id);
      if (known !== undefined) return known;
      const count = (this.#counts.get(kind) ?? 0) + 1;
      this.#counts.set(kind, count);
      const name = `${kind}#${count}`;
      this.#numbers.set(id, name);
      return name;
    });
  }
}
