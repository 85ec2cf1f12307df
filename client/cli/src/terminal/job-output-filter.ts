/**
 * Lets a job's output through to a terminal without letting the job drive the terminal. Kept: text, new line,
 * carriage return (progress bars), tab and SGR sequences (colours). Dropped: every other escape sequence
 * (cursor, title, clipboard, links, reports that type into the shell), C0 and C1 controls and marks of
 * reading direction. One filter per stream: sequences and characters may be split between pieces.
 */
export class JobOutputFilter {
  readonly #keepColours: boolean;
  readonly #decoder = new TextDecoder('utf-8');
  #state: 'text' | 'escape' | 'csi' | 'string' | 'string-escape' | 'other' = 'text';
  #csi = '';
  #coloured = false;

  constructor(keepColours: boolean) {
    this.#keepColours = keepColours;
  }

  /** What of these bytes may be shown. */
  push(bytes: Uint8Array): string {
    return this.#filter(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The end of the stream: what is left, and the job's last colour taken back. */
  end(): string {
    return this.#filter(this.#decoder.decode()) + this.reset();
  }

  /** Takes the job's colour back, so that it does not run into text of ours; empty when there is none. */
  reset(): string {
    if (!this.#coloured) return '';
    this.#coloured = false;
    return '\u001b[0m';
  }

  #filter(text: string): string {
    let shown = '';
    for (const char of text) shown += this.#step(char);
    return shown;
  }

  #step(char: string): string {
    const code = char.codePointAt(0) ?? 0;
    // CAN and SUB end any sequence; a new line does too, or one stray byte would swallow all that follows.
    if (this.#state !== 'text' && (code === 0x18 || code === 0x1a || code === 0x0a)) {
      this.#state = 'text';
      return code === 0x0a ? char : '';
    }
    switch (this.#state) {
      case 'text':
        return this.#text(char, code);
      case 'escape':
        return this.#afterEscape(char, code);
      case 'csi':
        return this.#inCsi(char, code);
      case 'string':
        if (code === 0x07 || code === 0x9c) this.#state = 'text';
        else if (code === 0x1b) this.#state = 'string-escape';
        return '';
      case 'string-escape':
        if (char === '\\') this.#state = 'text';
        else return this.#afterEscape(char, code);
        return '';
      case 'other': // ESC with intermediates: over with the first final byte
        if (code < 0x20 || code > 0x2f) this.#state = 'text';
        return '';
    }
  }

  #text(char: string, code: number): string {
    if (code === 0x1b) {
      this.#state = 'escape';
      return '';
    }
    if (code >= 0x80 && code <= 0x9f) {
      this.#afterEscape(String.fromCharCode(code - 0x40), code - 0x40); // C1 is ESC and the letter in one
      return '';
    }
    if (code === 0x0a || code === 0x0d || code === 0x09) return char;
    if (code < 0x20 || code === 0x7f || turnsDirection(code)) return '';
    return char;
  }

  #afterEscape(char: string, code: number): string {
    if (char === '[') {
      this.#state = 'csi';
      this.#csi = '';
    } else if (char === ']' || char === 'P' || char === 'X' || char === '^' || char === '_') {
      this.#state = 'string';
    } else if (code >= 0x20 && code <= 0x2f) {
      this.#state = 'other';
    } else if (code !== 0x1b) {
      this.#state = 'text';
    }
    return '';
  }

  #inCsi(char: string, code: number): string {
    if (code === 0x1b) {
      this.#state = 'escape';
      return '';
    }
    if (code < 0x40 || code > 0x7e) {
      this.#csi += this.#csi.length < longestSgr ? char : '';
      return '';
    }
    this.#state = 'text';
    if (char !== 'm' || this.#csi.length >= longestSgr || !/^[0-9;:]*$/.test(this.#csi)) return '';
    if (!this.#keepColours) return '';
    this.#coloured = !/^0*$/.test(this.#csi);
    return `\u001b[${this.#csi}m`;
  }
}

/** Characters of parameters; a true-colour foreground and background take 34. */
const longestSgr = 64;

function turnsDirection(code: number): boolean {
  return (
    code === 0x061c ||
    code === 0x200e ||
    code === 0x200f ||
    (code >= 0x202a && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069)
  );
}
