import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import type { Cli } from '../cli.ts';
import { JobOutputFilter } from '../terminal/job-output-filter.ts';
import { plainText } from '../terminal/plain-text.ts';
import type { Output } from '../terminal/terminal.ts';

export interface JobOutputOptions {
  /** Bytes as the job wrote them, also on a terminal. */
  raw?: boolean | undefined;
  /** The time before each line. */
  timestamps?: boolean | undefined;
  /** Only this try. */
  attempt?: number | undefined;
  /** Only from this moment on, RFC 3339. */
  since?: string | undefined;
}

/**
 * Writes a job's output: its stdout to ours, its stderr to ours, remarks of the market as talk. Exact bytes
 * into files and pipes; on a terminal only what is safe there. With --json each piece is one line.
 */
export class JobOutput {
  readonly #cli: Cli;
  readonly #options: JobOutputOptions;
  readonly #stdout: StreamWriter;
  readonly #stderr: StreamWriter;
  #attempt: number | undefined;
  /** Pieces of output written. */
  count = 0;

  constructor(cli: Cli, options: JobOutputOptions = {}) {
    this.#cli = cli;
    this.#options = options;
    this.#stdout = new StreamWriter(cli.terminal.out, options);
    this.#stderr = new StreamWriter(cli.terminal.talk, options);
  }

  async entry(entry: LogEntry): Promise<void> {
    const { attempt, since } = this.#options;
    if (attempt !== undefined && entry.attempt !== attempt) return;
    if (since !== undefined && Date.parse(entry.at) < Date.parse(since)) return;
    this.count += 1;
    if (this.#cli.json) {
      await this.#cli.streamJson({ event: 'log', ...entry });
      return;
    }
    if (this.#attempt !== undefined && entry.attempt !== this.#attempt) {
      this.remark(`try ${entry.attempt}, on another machine or again`);
    }
    this.#attempt = entry.attempt;
    await this.bytes(entry.stream, entryBytes(entry), entry.at);
  }

  async bytes(stream: LogEntry['stream'], data: Uint8Array, at: string): Promise<void> {
    if (stream === 'system') this.remark(Buffer.from(data).toString('utf8').trimEnd());
    else await (stream === 'stdout' ? this.#stdout : this.#stderr).write(data, at);
  }

  /** Something that we say about the output, on a line of its own. */
  remark(text: string): void {
    const { talk } = this.#cli.terminal;
    this.#cli.say(talk.style.dim(`— ${plainText(text)} —`));
  }

  /** Before we speak: takes the job's colours back. */
  async pause(): Promise<void> {
    await this.#stdout.pause();
    await this.#stderr.pause();
  }

  /** The output is over. */
  async end(): Promise<void> {
    await this.#stdout.end();
    await this.#stderr.end();
  }
}

export function entryBytes(entry: LogEntry): Buffer {
  return Buffer.from(entry.data, entry.encoding === 'base64' ? 'base64' : 'utf8');
}

class StreamWriter {
  readonly #output: Output;
  readonly #filter: JobOutputFilter | null;
  readonly #timestamps: boolean;
  #lineStart = true;

  constructor(output: Output, options: JobOutputOptions) {
    this.#output = output;
    this.#filter =
      output.isTerminal && !options.raw ? new JobOutputFilter(output.style.isColorSupported) : null;
    this.#timestamps = options.timestamps ?? false;
  }

  async write(data: Uint8Array, at: string): Promise<void> {
    const bytes = this.#timestamps ? this.#stamped(data, at) : data;
    await this.#output.write(this.#filter ? this.#filter.push(bytes) : bytes);
  }

  async pause(): Promise<void> {
    if (this.#filter) await this.#output.write(this.#filter.reset());
  }

  async end(): Promise<void> {
    if (this.#filter) await this.#output.write(this.#filter.end());
  }

  /** Byte by byte, because a piece may end in the middle of a line or of a character. */
  #stamped(data: Uint8Array, at: string): Uint8Array {
    const stamp = Buffer.from(`${at} `);
    const parts: Uint8Array[] = [];
    let from = 0;
    while (from < data.length) {
      if (this.#lineStart) parts.push(stamp);
      const end = data.indexOf(0x0a, from);
      const to = end === -1 ? data.length : end + 1;
      parts.push(data.subarray(from, to));
      this.#lineStart = end !== -1;
      from = to;
    }
    return Buffer.concat(parts);
  }
}
