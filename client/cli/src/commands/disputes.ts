import {
  type DisputeOutcome,
  type DisputeReason,
  disputeReasons,
  disputeState,
} from '@computefabric/protocol/dispute';
import { disputeId } from '@computefabric/protocol/ids';
import { parseUsd } from '@computefabric/protocol/money';
import type { DisputeView } from '@computefabric/protocol/user-api/disputes';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { findJob } from '../jobs/find-job.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';

export interface DisputeFlags {
  reason?: string;
  message?: string;
}

export interface DisputeListFlags {
  as?: string;
  state?: string;
}

export interface DecideFlags {
  grant?: boolean;
  deny?: boolean;
  because?: string;
  blame?: string;
  refund?: string;
}

/** `dispute JOB`: contests an ended job. */
export async function openDispute(cli: Cli, reference: string, flags: DisputeFlags): Promise<number> {
  const reason = oneOf(flags.reason, disputeReasons, '--reason') satisfies DisputeReason;
  if (!flags.message) throw usageError('say with --message what was wrong');
  const client = await cli.client();
  const job = await findJob(cli, client, reference);
  const dispute = await client.disputes.open(job.id, { reason, message: flags.message });
  printDispute(cli, dispute);
  if (dispute.state === 'open') cli.say(`The operator decides; see it with: ${cli.program} disputes list`);
  return exitCode('ok');
}

/** `disputes list`: yours, about your machines, or all. */
export async function listDisputes(cli: Cli, flags: DisputeListFlags): Promise<number> {
  const as = flags.as === undefined ? undefined : oneOf(flags.as, ['renter', 'owner', 'operator'], '--as');
  const state = flags.state === undefined ? undefined : oneOf(flags.state, disputeState.options, '--state');
  const { items } = await (await cli.client()).disputes.list({ as, state, limit: 200 });
  if (cli.json) {
    cli.printJson({ items });
    return exitCode('ok');
  }
  if (items.length === 0) cli.say('There are no disputes.');
  else {
    const columns = [
      { title: 'DISPUTE' },
      { title: 'JOB' },
      { title: 'STATE' },
      { title: 'REASON' },
      { title: 'REFUND', align: 'right' as const },
      { title: 'WHY' },
    ];
    const rows = items.map((one) => [
      one.id,
      plainText(one.job_name),
      one.state,
      one.reason,
      money(one.refund_micros),
      plainText(one.decisions.at(-1)?.explanation ?? ''),
    ]);
    for (const line of table(columns, rows)) cli.print(line);
  }
  return exitCode('ok');
}

/** `disputes decide DISPUTE`: the operator's word, which both sides read. */
export async function decideDispute(cli: Cli, id: string, flags: DecideFlags): Promise<number> {
  const parsed = disputeId.safeParse(id);
  if (!parsed.success) throw usageError(`"${id}" is no dispute`, `such as in: ${cli.program} disputes list`);
  if ((flags.grant ?? false) === (flags.deny ?? false)) throw usageError('give either --grant or --deny');
  if (!flags.because) throw usageError('say with --because why: both sides read it');
  const outcome: DisputeOutcome = flags.grant ? 'granted' : 'denied';
  const refund = flags.refund === undefined ? null : parseUsd(flags.refund);
  if (flags.refund !== undefined && (refund === null || outcome === 'denied')) {
    throw usageError('--refund must be an amount in USD such as 0.25, and goes with --grant');
  }
  const dispute = await (await cli.client()).disputes.decide(parsed.data, {
    outcome,
    explanation: flags.because,
    blame: flags.blame === undefined ? undefined : oneOf(flags.blame, ['provider', 'platform'], '--blame'),
    refund_micros: refund === null ? null : String(refund),
  });
  printDispute(cli, dispute);
  return exitCode('ok');
}

function printDispute(cli: Cli, dispute: DisputeView): void {
  if (cli.json) {
    cli.printJson(dispute);
    return;
  }
  const why = dispute.decisions.at(-1);
  const lines = facts(
    [
      ['dispute', dispute.id],
      ['job', plainText(dispute.job_name)],
      ['state', dispute.state],
      ...(why ? [['why', plainText(why.explanation)] as const] : []),
      ...(dispute.state === 'granted' ? [['given back', money(dispute.refund_micros)] as const] : []),
    ],
    '',
  );
  for (const line of lines) cli.print(line);
}

function oneOf<const T extends string>(value: string | undefined, known: readonly T[], flag: string): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw usageError(`${flag} must be one of: ${known.join(', ')}`);
  return found;
}
