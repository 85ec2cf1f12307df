import type { LogStream } from '@computefabric/protocol/log-frames';
import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import { parseAnsiLine, plainStyle, type StyledText, type TextStyle } from './ansi.ts';

/** `note` is a remark of the viewer itself: a new try begins here, or output is missing here. */
export type LogLineSource = LogStream | 'note';

export interface LogLine {
  /** Counts up over the life of the buffer; never reused. */
  key: number;
  source: LogLineSource;
  /** When its first piece was read on the machine; null for notes. */
  atMs: number | null;
  /** What is visible, without styles: what search looks in. */
  text: string;
  pieces: readonly StyledText[];
}

/** Lines are handed out in blocks, so that a view redraws only the block that changed. */
export interface LogBlock {
  key: number;
  lines: readonly LogLine[];
}

export interface LogSnapshot {
  blocks: readonly LogBlock[];
  lineCount: number;
  /** Oldest lines given up to stay within the limit. The download has them all. */
  droppedLines: number;
}

export const linesPerBlock = 200;
/** About 50 MB of memory; a longer log is for the download. */
export const maxLines = 50_000;
/** A line longer than this is broken, so that a program that never ends its line cannot stall the page. */
const maxLineChars = 16_384;

interface OpenLine {
  line: LogLine;
  block: MutableBlock;
  raw: string;
  startStyle: TextStyle;
}

interface MutableBlock {
  key: number;
  lines: LogLine[];
  /** The last block handed out for this one; null when something has changed since. */
  published: LogBlock | null;
}

/**
 * Turns the numbered pieces of output into lines. Pieces may end anywhere, even inside a character, and may
 * come twice after a reconnect; a piece that is missing is shown as missing. Standard output and standard
 * error each build their own lines, in the order in which those began.
 */
export class LogBuffer {
  #blocks: MutableBlock[] = [];
  #nextKey = 0;
  #lineCount = 0;
  #droppedLines = 0;
  #attempt: number | null = null;
  #nextSeq = 0;
  #open = new Map<LogStream, OpenLine>();
  #styles = new Map<LogStream, TextStyle>();
  #decoders = new Map<LogStream, TextDecoder>();

  /** Adds one piece. Returns false when it was known already. */
  add(entry: LogEntry): boolean {
    if (this.#attempt !== null && entry.attempt < this.#attempt) return false;
    if (entry.attempt !== this.#attempt) this.#startAttempt(entry.attempt);
    if (entry.seq < this.#nextSeq) return false;
    if (entry.seq > this.#nextSeq) this.#note(`— ${missing(entry.seq - this.#nextSeq)} —`);
    this.#nextSeq = entry.seq + 1;
    this.#append(entry.stream, this.#decode(entry), Date.parse(entry.at));
    return true;
  }

  /** What there is to show now. Unchanged blocks are the same objects as in the snapshot before. */
  snapshot(): LogSnapshot {
    return {
      blocks: this.#blocks.map(publish),
      lineCount: this.#lineCount,
      droppedLines: this.#droppedLines,
    };
  }

  #startAttempt(attempt: number) {
    if (this.#attempt !== null) this.#note(`— try ${attempt} begins here —`);
    this.#attempt = attempt;
    this.#nextSeq = 0;
    this.#open.clear();
    this.#styles.clear();
    this.#decoders.clear();
  }

  #decode(entry: LogEntry): string {
    const decoder = this.#decoders.get(entry.stream) ?? new TextDecoder();
    this.#decoders.set(entry.stream, decoder);
    const bytes =
      entry.encoding === 'utf-8'
        ? new TextEncoder().encode(entry.data)
        : Uint8Array.from(atob(entry.data), (character) => character.charCodeAt(0));
    return decoder.decode(bytes, { stream: true });
  }

  #append(stream: LogStream, text: string, atMs: number) {
    const segments = text.split('\n');
    for (const [index, segment] of segments.entries()) {
      if (segment !== '' || index < segments.length - 1) this.#extendLine(stream, segment, atMs);
      if (index < segments.length - 1) this.#endLine(stream);
    }
  }

  #extendLine(stream: LogStream, segment: string, atMs: number) {
    let rest = segment;
    do {
      const open = this.#open.get(stream) ?? this.#openLine(stream, atMs);
      const room = maxLineChars - open.raw.length;
      open.raw = overwritten(open.raw + rest.slice(0, room));
      rest = rest.slice(room);
      this.#redraw(open);
      if (rest !== '') this.#endLine(stream);
    } while (rest !== '');
  }

  #openLine(stream: LogStream, atMs: number): OpenLine {
    const line: LogLine = { key: this.#nextKey, source: stream, atMs, text: '', pieces: [] };
    const block = this.#push(line);
    const open = { line, block, raw: '', startStyle: this.#styles.get(stream) ?? plainStyle };
    this.#open.set(stream, open);
    return open;
  }

  #endLine(stream: LogStream) {
    const open = this.#open.get(stream);
    if (!open) return;
    this.#styles.set(stream, parseAnsiLine(open.raw, open.startStyle).endStyle);
    this.#open.delete(stream);
  }

  /** Lines are values: a changed line is a new object in its old place. */
  #redraw(open: OpenLine) {
    const visible = open.raw.endsWith('\r') ? open.raw.slice(0, -1) : open.raw;
    const { pieces } = parseAnsiLine(visible, open.startStyle);
    const line = { ...open.line, pieces, text: pieces.map((piece) => piece.text).join('') };
    const index = line.key - (open.block.lines[0]?.key ?? line.key);
    open.block.lines[index] = line;
    open.block.published = null;
    open.line = line;
  }

  #note(text: string) {
    this.#push({
      key: this.#nextKey,
      source: 'note',
      atMs: null,
      text,
      pieces: [{ text, style: plainStyle }],
    });
  }

  #push(line: LogLine): MutableBlock {
    this.#nextKey += 1;
    this.#lineCount += 1;
    let block = this.#blocks.at(-1);
    if (!block || block.lines.length >= linesPerBlock) {
      block = { key: line.key, lines: [], published: null };
      this.#blocks.push(block);
    }
    block.lines.push(line);
    block.published = null;
    while (this.#lineCount > maxLines) this.#dropOldestBlock();
    return block;
  }

  #dropOldestBlock() {
    const dropped = this.#blocks.shift();
    if (!dropped) return;
    this.#lineCount -= dropped.lines.length;
    this.#droppedLines += dropped.lines.length;
  }
}

function publish(block: MutableBlock): LogBlock {
  block.published ??= { key: block.key, lines: [...block.lines] };
  return block.published;
}

/** A carriage return starts the line over, as progress bars do; one at the very end may belong to a CRLF. */
function overwritten(raw: string): string {
  const body = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
  const start = body.lastIndexOf('\r');
  return start === -1 ? raw : raw.slice(start + 1);
}

function missing(pieces: number): string {
  return pieces === 1 ? 'one piece of output is missing here' : `${pieces} pieces of output are missing here`;
}
