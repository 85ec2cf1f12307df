import type { Cli } from '../cli.ts';

/** Something that is watched. */
export interface Watched {
  id: string;
  /** It has changed when this has; what only grows with time stays out of it. */
  shape: unknown;
  /** What a log of a build is told of it. */
  text: string;
  json: object;
}

/** Draws over itself on a terminal; elsewhere, and as JSON, appends what has changed. */
export class WatchScreen {
  readonly #cli: Cli;
  #drawn = 0;
  readonly #shown = new Map<string, string>();

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  show(items: readonly Watched[], lines: readonly string[]): void {
    const { out } = this.#cli.terminal;
    if (!this.#cli.json && out.canRedraw) {
      out.raw(this.#drawn > 0 ? `\u001b[${this.#drawn}A\u001b[0J` : '');
      for (const line of lines) out.line(line);
      this.#drawn = lines.length;
      return;
    }
    for (const { id, shape, text, json } of items) {
      const key = JSON.stringify(shape);
      if (this.#shown.get(id) === key) continue;
      this.#shown.set(id, key);
      if (this.#cli.json) this.#cli.printJson(json);
      else this.#cli.print(`${new Date().toISOString()}  ${text}`);
    }
  }
}
