import type { Client } from '@computefabric/api-client/client';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { plainText } from '../terminal/plain-text.ts';
import { formatDuration } from '@computefabric/protocol/grammar/durations';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** Time until the first look at the job, and between two of them on a terminal and in a log of a build, ms. */
const lookMs = { first: 1_500, terminal: 2_000, plain: 10_000 };
const frameMs = 120;

/** While a job has no output yet: says whom it waits for, so that no wait is silent. */
export class WaitReport {
  readonly #cli: Cli;
  readonly #client: Client;
  readonly #id: string;
  readonly #redraws: boolean;
  readonly #startedAt = performance.now();
  #timers: NodeJS.Timeout[] = [];
  #state: JobView['state'];
  #reason = '';
  #suggested: string | null = null;
  #looking = false;

  constructor(cli: Cli, client: Client, job: JobView) {
    this.#cli = cli;
    this.#client = client;
    this.#id = job.id;
    this.#redraws = cli.terminal.talk.canRedraw;
    this.#state = job.state;
    this.resume(job.state);
  }

  /** Goes on reporting, when this is a state in which a person waits for somebody else. */
  resume(state: JobView['state']): void {
    this.pause();
    if (state !== 'queued' && state !== 'preparing') return;
    if (state !== this.#state) this.#reason = '';
    this.#state = state;
    const every = this.#redraws ? lookMs.terminal : lookMs.plain;
    this.#timers.push(setTimeout(() => void this.#look(), lookMs.first));
    this.#timers.push(setInterval(() => void this.#look(), every));
    if (this.#redraws) this.#timers.push(setInterval(() => this.#draw(), frameMs));
  }

  pause(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.#cli.terminal.live(null);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const job = await this.#client.jobs.get(this.#id, { signal: AbortSignal.timeout(lookMs.plain) });
      if (this.#timers.length === 0) return; // something else was said meanwhile
      this.#state = job.state;
      this.#reason = waitReason(job);
      if (!this.#redraws) this.#cli.say(`├ ${this.#line()}`);
      const suggestion = job.waiting?.suggestion ?? null;
      if (suggestion !== null && suggestion !== this.#suggested) {
        this.#suggested = suggestion;
        this.#cli.say(`├ help       ${plainText(suggestion)}`);
      }
    } catch {
      // Only a report: when the server is away, the stream that is being followed notices and says so.
    } finally {
      this.#looking = false;
    }
  }

  #draw(): void {
    const frame = frames[Math.floor(performance.now() / frameMs) % frames.length] ?? '';
    this.#cli.terminal.live(`${frame} ${this.#line()}`);
  }

  #line(): string {
    const elapsed = formatDuration(performance.now() - this.#startedAt);
    return `${this.#state} ${elapsed}${this.#reason === '' ? '' : ` · ${this.#reason}`}`;
  }
}

/** What a job that has not started waits for, in a few words; empty when that is not known. */
export function waitReason(job: JobView): string {
  if (job.state === 'queued' && job.waiting) {
    return `place ${job.waiting.position} · ${plainText(job.waiting.summary)}`;
  }
  const lease = job.leases.at(-1);
  if (job.state !== 'preparing' || !lease) return '';
  const machine = plainText(lease.provider.name);
  if (lease.state === 'offered') return `offered to ${machine}`;
  if (lease.task_state !== 'pulling') return `${machine} starts the container`;
  if (!lease.progress) return `${machine} pulls the image`;
  const { done_bytes, total_bytes } = lease.progress;
  const total = total_bytes === null ? '' : ` of ${formatBytes(total_bytes)}`;
  return `${machine} pulls the image, ${formatBytes(done_bytes)}${total}`;
}
