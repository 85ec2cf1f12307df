import { createInterface, type Interface } from 'node:readline';
import type { Terminal } from './terminal.ts';

/**
 * Asks a yes-or-no question on the terminal; Enter alone means `enterMeansYes`, a closed input means no.
 * Only where `terminal.canAsk`.
 *
 * @throws the signal's reason when it aborts
 */
export async function confirm(
  terminal: Terminal,
  question: string,
  enterMeansYes: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const { stdin, talk } = terminal;
  // The terminal stays in its usual mode, so that Ctrl-C arrives as the signal that everything else heeds.
  const lines = createInterface({ input: stdin, terminal: false });
  const choices = enterMeansYes ? '[Y/n]' : '[y/N]';
  try {
    while (true) {
      talk.raw(`${question} ${choices} `);
      const answer = await nextLine(lines, signal);
      if (answer === null) talk.raw('\n');
      const word = answer?.trim().toLowerCase() ?? 'no';
      if (word === '') return enterMeansYes;
      if (word === 'y' || word === 'yes') return true;
      if (word === 'n' || word === 'no') return false;
      talk.line('Answer y or n.');
    }
  } finally {
    lines.close();
  }
}

/** The next line typed; null when the input is closed. */
function nextLine(lines: Interface, signal: AbortSignal): Promise<string | null> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    lines.once('line', resolve);
    lines.once('close', () => resolve(null));
  });
}
