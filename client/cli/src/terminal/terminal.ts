import type { Writable } from 'node:stream';
import picocolors from 'picocolors';

export type Style = ReturnType<typeof picocolors.createColors>;

/** The three streams of a program, as `process` has them. */
export interface Stdio {
  stdin: NodeJS.ReadStream;
  stdout: Writable & { isTTY?: boolean; columns?: number };
  stderr: Writable & { isTTY?: boolean; columns?: number };
}

/** What decides about colour; each stream is asked by itself. */
export interface ColourWish {
  /** `--no-color`, NO_COLOR */
  refused: boolean;
  /** FORCE_COLOR, CLICOLOR_FORCE */
  forced: boolean;
  /** TERM=dumb */
  dumb: boolean;
}

/**
 * The program's two outputs: `out` is data, `talk` is everything said to a person. They share one screen
 * where both are terminals, so that a line of ours never lands in the middle of a line of a job.
 */
export class Terminal {
  readonly out: Output;
  readonly talk: Output;
  readonly stdin: NodeJS.ReadStream;
  /** Aborts when the reader of stdout has gone away (`cfab logs JOB | head`). */
  readonly readerGone: AbortSignal;
  readonly #screen: Screen;

  constructor(stdio: Stdio, wish: ColourWish) {
    const gone = new AbortController();
    this.readerGone = gone.signal;
    this.stdin = stdio.stdin;
    this.#screen = new Screen();
    this.out = new Output(stdio.stdout, wish, this.#screen, () => gone.abort(new ReaderGone()));
    this.talk = new Output(stdio.stderr, wish, this.#screen, () => {});
  }

  /** A person can be asked: there is somebody to read the question and to type an answer. */
  get canAsk(): boolean {
    return this.stdin.isTTY && this.talk.isTerminal;
  }

  /** Shows one line that is replaced in place; only on a terminal that can. Null takes it away. */
  live(text: string | null): void {
    if (this.talk.canRedraw) this.#screen.showLive(this.talk, text);
  }

  /** The terminal itself has written "^C" where the cursor was. */
  echoed(): void {
    if (this.talk.isTerminal) this.#screen.echoed();
  }

  /** Everything written so far has left the program. */
  async flush(): Promise<void> {
    this.live(null);
    await Promise.all([this.out.write(''), this.talk.write('')]);
  }
}

/** The reader of stdout has gone away. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** Where the cursor of the terminal is, for both outputs. */
class Screen {
  #live: { output: Output; text: string } | null = null;
  /** A line without its end was written to a terminal. */
  midLine = false;

  showLive(output: Output, text: string | null): void {
    if (text === this.#live?.text) return;
    this.clearLive();
    if (text === null || this.midLine) return;
    this.#live = { output, text };
    output.raw(text.slice(0, output.columns - 1));
  }

  echoed(): void {
    if (this.#live === null) this.midLine = true; // a live line is wiped together with what follows it
  }

  clearLive(): void {
    const live = this.#live;
    this.#live = null;
    live?.output.raw('\r\u001b[2K');
  }
}

export class Output {
  readonly isTerminal: boolean;
  readonly style: Style;
  /** Lines may be drawn over: a terminal, and neither it nor its owner objects to escapes. */
  readonly canRedraw: boolean;
  readonly #stream: Stdio['stdout'];
  readonly #screen: Screen;
  #closed = false;

  constructor(stream: Stdio['stdout'], wish: ColourWish, screen: Screen, onClosed: () => void) {
    this.#stream = stream;
    this.#screen = screen;
    this.isTerminal = stream.isTTY === true;
    const coloured = !wish.refused && (wish.forced || (this.isTerminal && !wish.dumb));
    this.style = picocolors.createColors(coloured);
    this.canRedraw = this.isTerminal && coloured && !wish.dumb;
    // EPIPE when the reader leaves, EIO when the terminal window is closed: the job lives on the server.
    stream.on('error', () => {
      this.#closed = true;
      onClosed();
    });
  }

  get columns(): number {
    return Math.max(20, this.#stream.columns || 80); // 0 is what a terminal without a size says
  }

  /** One line of ours; on a line of its own, whatever a job has written before. */
  line(text = ''): void {
    this.#screen.clearLive();
    const startNew = this.isTerminal && this.#screen.midLine ? '\n' : '';
    if (this.isTerminal) this.#screen.midLine = false;
    this.raw(`${startNew}${text}\n`);
  }

  /** Exact bytes; resolves when there is room for more. */
  async write(data: string | Uint8Array): Promise<void> {
    if (data.length > 0) this.#screen.clearLive();
    if (this.isTerminal && data.length > 0) {
      this.#screen.midLine = typeof data === 'string' ? !data.endsWith('\n') : data.at(-1) !== 0x0a;
    }
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#stream.write(data, () => resolve()); // an error also arrives at the handler above
    });
  }

  /** Text as it is, without looking at the screen's state. */
  raw(text: string): void {
    if (!this.#closed) this.#stream.write(text);
  }
}
