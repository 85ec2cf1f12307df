import type { Client } from '@computefabric/api-client/client';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts } from '../terminal/table.ts';
import type { Style } from '../terminal/terminal.ts';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import { billText } from './cost.ts';

/** How a job ended: state, reason, exit code, bill, and where its results are. */
export async function printSummary(cli: Cli, client: Client, job: JobView): Promise<void> {
  const { talk } = cli.terminal;
  const reason = job.end_message === null ? '' : `  ${plainText(job.end_message)}`;
  const code = job.exit_code === null ? '' : `  exit code ${job.exit_code}`;
  cli.say(`└ ${stateWord(talk.style, job.state)}${reason}${code}`);
  const pairs: [string, string][] = [['cost', billText(job)]];
  if (job.cost.payment_state === 'pending') pairs.push(['bill', 'not settled yet']);
  if (job.cost.payment_state === 'failed') pairs.push(['bill', 'the payment failed']);
  const results = await resultsText(client, job);
  if (results) pairs.push(['results', `${results}   ${cli.program} artifacts ${job.name} --download`]);
  pairs.push(['details', `${cli.program} status ${job.name}`]);
  for (const line of facts(pairs)) cli.say(line);
}

/** `2 files, 14 kB`; null when there are none. */
async function resultsText(client: Client, job: JobView): Promise<string | null> {
  try {
    const { items } = await client.artifacts.list(job.id);
    if (items.length === 0) return null;
    const bytes = items.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    return `${items.length} ${items.length === 1 ? 'file' : 'files'}, ${formatBytes(bytes)}`;
  } catch {
    return 'could not be listed now'; // The job has ended and is told about; its files can be asked for again.
  }
}

/** A state with its mark and colour; the word alone says it too. */
export function stateWord(style: Style, state: JobView['state']): string {
  switch (state) {
    case 'blocked':
      return style.yellow('◌ blocked');
    case 'queued':
      return style.yellow('◌ queued');
    case 'preparing':
      return style.blue('◔ preparing');
    case 'running':
      return style.blue('● running');
    case 'finishing':
      return style.blue('◕ finishing');
    case 'succeeded':
      return style.green('✓ succeeded');
    case 'failed':
      return style.red('✗ failed');
    case 'cancelled':
      return style.dim('⊘ cancelled');
    case 'expired':
      return style.red('⌛ expired');
  }
}
