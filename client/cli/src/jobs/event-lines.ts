import type { JobEvent } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { plainText } from '../terminal/plain-text.ts';

/** One line for each thing that happens to a job, with whether it costs money. */
export class EventLines {
  readonly #cli: Cli;

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  show(event: JobEvent): void {
    // The end is said by the summary, with everything that belongs to it.
    if (event.type === 'ended' || event.type === 'submitted') return;
    const { style } = this.#cli.terminal.talk;
    const billed = event.state === 'running';
    const label = billed ? style.yellow('billed') : style.dim('not billed');
    const hint = event.type === 'started' && this.#cli.terminal.talk.isTerminal ? ctrlC(style) : '';
    this.#cli.say(`├ ${plainText(event.type).padEnd(10)} ${plainText(event.message)}  ${label}${hint}`);
  }
}

function ctrlC(style: { dim: (text: string) => string }): string {
  return style.dim(' · Ctrl-C detaches, the job keeps running');
}
