import type { Client } from '@computefabric/api-client/client';
import type { JobSpec } from '@computefabric/protocol/user-api/job-spec';
import type { Estimate, Quote } from '@computefabric/protocol/user-api/quotes';
import type { Cli } from '../cli.ts';
import { offerGpu } from '../commands/offers.ts';
import { CliError, usageError } from '../errors/cli-error.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';
import type { Output } from '../terminal/terminal.ts';
import { formatSeconds } from '@computefabric/protocol/grammar/durations';
import { formatThere } from '@computefabric/protocol/grammar/sizes';
import { money } from './cost.ts';
import { similarGpu } from './gpu-names.ts';
import { requirementsText } from './requirements-text.ts';

/** Machines listed in a plan. */
const shownOffers = 3;

/**
 * What a job would get and cost, before anything is spent.
 *
 * @throws CliError cli/usage when the GPU asked for is a misspelling of one that is there
 */
export async function printPlan(client: Client, spec: JobSpec, quote: Quote, output: Output): Promise<void> {
  const { style } = output;
  const name = spec.name === undefined ? '' : `${spec.name} · `;
  output.line(
    `${style.bold('Plan')}   ${name}${requirementsText(spec.requirements)} · ${plainText(spec.image)}`,
  );
  if (quote.offers.length > 0) for (const line of offersTable(quote)) output.line(`  ${line}`);
  const more = quote.offers.length - shownOffers;
  if (more > 0) output.line(`  and ${more} more`);
  if (quote.waiting) {
    const help = await gpuHelp(client, spec);
    const pairs: [string, string][] = [
      ['no match', plainText(quote.waiting.summary)],
      ...quote.waiting.filters.map(({ sentence }): [string, string] => ['', plainText(sentence)]),
      ...[...help, ...(quote.waiting.suggestion ? [plainText(quote.waiting.suggestion)] : [])].map(
        (text): [string, string] => ['help', text],
      ),
      ['queue', queueText(spec, quote)],
    ];
    for (const line of facts(pairs)) output.line(line);
  }
  if (quote.estimate) output.line(`  Expected ${estimateText(quote.estimate)}`);
  const play = quote.play_money ? ' play money' : '';
  output.line(
    `  Costs at most ${money(quote.hold_micros)}: stops after ${formatSeconds(quote.time_limit_seconds)} · ` +
      `balance ${money(quote.balance_micros)}${play}`,
  );
}

/** What to expect, and what that is known from. */
export function estimateText(estimate: Estimate): string {
  const { past_runs: runs, run_low_seconds: low, run_high_seconds: high } = estimate;
  const cost = `${money(estimate.cost_low_micros)} to ${money(estimate.cost_high_micros)}`;
  if (runs === 0) {
    return `${cost}: no earlier run of this image and command, so it may take all of its ${formatSeconds(high)}`;
  }
  const wait =
    estimate.wait_high_seconds === null
      ? 'once it has started'
      : `${formatSeconds(estimate.wait_high_seconds)} at most until it starts`;
  return `${cost}, ${formatSeconds(low)} to ${formatSeconds(high)}, ${wait} (from ${runs} earlier ${runs === 1 ? 'run' : 'runs'})`;
}

function offersTable(quote: Quote): string[] {
  const columns = [
    { title: '#', align: 'right' as const },
    { title: 'MACHINE' },
    { title: 'GPU' },
    { title: 'VRAM', align: 'right' as const },
    { title: 'FREE', align: 'right' as const },
    { title: 'PRICE/H', align: 'right' as const },
  ];
  const rows = quote.offers
    .slice(0, shownOffers)
    .map((offer, index) => [
      `${index + 1}`,
      plainText(offer.provider_name),
      offerGpu(offer),
      offer.vram_mib === null ? '–' : formatThere(offer.vram_mib),
      offer.gpu === null ? '–' : `${offer.gpus_free} of ${offer.gpus_total}`,
      money(offer.price_per_hour_micros),
    ]);
  return table(columns, rows);
}

function queueText(spec: JobSpec, quote: Quote): string {
  const place = quote.waiting ? `place ${quote.waiting.position}, ` : '';
  const seconds = spec.queue_timeout_seconds;
  return seconds === null
    ? `it would wait (${place}as long as it takes; limit that with --queue 6h)`
    : `it would wait ${formatSeconds(seconds)} at most (${place.replace(/, $/, '')})`;
}

/** Names the GPU that was probably meant. */
async function gpuHelp(client: Client, spec: JobSpec): Promise<string[]> {
  const asked = spec.requirements.gpu_models;
  if (asked.length === 0) return [];
  const { items } = await client.offers.list();
  const models = items.flatMap(({ gpu }) => (gpu === null ? [] : [gpu]));
  return asked.flatMap((name) => {
    const similar = similarGpu(name, models);
    if (similar === null) return [];
    const text = `a similar GPU exists: ${plainText(similar.model)}`;
    // A letter O for a zero can be no other model: such a job would wait for ever.
    if (similar.surely) throw usageError(`--gpu "${name}" is not on this market`, text);
    return [text];
  });
}

/** @throws CliError ledger/insufficient-funds */
export function refuseUnaffordable(quote: Quote): void {
  if (quote.affordable) return;
  throw new CliError({
    code: 'ledger/insufficient-funds',
    message: 'the balance does not cover the most this job may cost',
    facts: [
      ['at most', money(quote.hold_micros)],
      ['balance', money(quote.balance_micros)],
    ],
    help: ['lower what the job may cost: --time-limit and --max-price'],
    exit: 'money',
    retry: 'later',
  });
}

/** @throws CliError when no machine could take the job now: what --plan has to tell a script */
export function refuseUnmatched(cli: Cli, spec: JobSpec, quote: Quote): void {
  if (quote.waiting === null) return;
  throw new CliError({
    code: 'cli/no-match',
    message: 'no machine can run this job now',
    facts: [
      ['asked for', requirementsText(spec.requirements)],
      ['have', plainText(quote.waiting.summary)],
    ],
    help: [
      ...(quote.waiting.suggestion ? [plainText(quote.waiting.suggestion)] : []),
      'without --plan it is queued and waits; --queue 6h limits how long',
      `see what there is:   ${cli.program} offers`,
    ],
    exit: 'noMatch',
    retry: 'later',
  });
}
