import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import { endReasonRow } from '@computefabric/protocol/end-reason';
import type { GroupReceipt, JobReceipt, ReceiptTry } from '@computefabric/protocol/receipts/receipt';
import { money } from '../jobs/cost.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';

/** Digits of a hash that a person compares; all of them are in the JSON. */
const shownDigits = 16;

const faults: Record<ReceiptTry['fault'], string> = {
  nobody: '',
  renter: '',
  provider: "the machine's fault",
  platform: "the market's doing",
};

/** A job's receipt for people. */
export function receiptText(receipt: JobReceipt): string[] {
  const { job, tries } = receipt;
  const rows = tries.map((one) => [
    `${one.attempt}`,
    plainText(one.machine.name),
    seconds(one.metered_ms),
    seconds(one.billed_ms),
    seconds(one.free_ms),
    `${money(one.price_per_hour_micros)}/h`,
    money(one.cost_micros),
    [one.end_reason, faults[endReasonRow(one.end_reason).fault]].filter(Boolean).join(', '),
  ]);
  const columns = [
    { title: 'TRY', align: 'right' as const },
    { title: 'MACHINE' },
    { title: 'RAN', align: 'right' as const },
    { title: 'BILLED', align: 'right' as const },
    { title: 'FREE', align: 'right' as const },
    { title: 'PRICE', align: 'right' as const },
    { title: 'COST', align: 'right' as const },
    { title: 'ENDED BY' },
  ];
  const last = tries.at(-1);
  const cards = [...new Set(tries.flatMap((one) => one.gpus.map(({ uuid, name }) => `${name}  ${uuid}`)))];
  const files = last?.files ?? [];
  return [
    `Receipt ${receipt.number} of ${plainText(job.name)}   ${job.id}   ${job.state}`,
    ...(rows.length > 0 ? table(columns, rows) : ['It never ran.']),
    ...facts([
      [
        'reserved',
        `${money(receipt.hold_micros)}, of which ${money(receipt.released_micros)} was given back`,
      ],
      ['cost', `${money(receipt.cost_micros)}   ${seconds(receipt.billed_ms)} billed${feeText(receipt)}`],
      ...(receipt.refunded_micros === '0' ? [] : [['refunded', money(receipt.refunded_micros)] as const]),
      ['total', `${money(receipt.total_micros)}${receipt.play_money ? ' play money' : ''}`],
      ...estimateFacts(receipt),
      ...(receipt.dispute
        ? [
            [
              'dispute',
              `${receipt.dispute.state}${receipt.dispute.decision ? `: ${plainText(receipt.dispute.decision)}` : ''}`,
            ] as const,
          ]
        : []),
      ...cards.map((card, index): [string, string] => [index === 0 ? 'GPU' : '', plainText(card)]),
      ...(last?.image_digest ? [['image', plainText(last.image_digest)] as const] : []),
      ['log', `sha256 ${receipt.log_sha256.slice(0, shownDigits)}…   ${formatBytes(logBytes(tries))}`],
      ...files.map((file, index): [string, string] => [
        index === 0 ? 'files' : '',
        `sha256 ${file.sha256.slice(0, shownDigits)}…   ${plainText(file.path)}   ${formatBytes(file.size_bytes)}`,
      ]),
    ]),
  ];
}

/** A group's bill for people. */
export function groupReceiptText(receipt: GroupReceipt): string[] {
  const columns = [
    { title: '#', align: 'right' as const },
    { title: 'JOB' },
    { title: 'STATE' },
    { title: 'TRIES', align: 'right' as const },
    { title: 'BILLED', align: 'right' as const },
    { title: 'TOTAL', align: 'right' as const },
  ];
  const rows = receipt.members.map((member) => [
    `${member.index}`,
    plainText(member.name),
    member.state,
    `${member.tries}`,
    seconds(member.billed_ms),
    money(member.total_micros),
  ]);
  return [
    `Receipt of ${plainText(receipt.group.name)}   ${receipt.group.id}   ${receipt.group.size} members`,
    ...table(columns, rows),
    ...facts([
      ['cost', `${money(receipt.cost_micros)}   ${seconds(receipt.billed_ms)} billed${feeText(receipt)}`],
      ...(receipt.refunded_micros === '0' ? [] : [['refunded', money(receipt.refunded_micros)] as const]),
      ['total', `${money(receipt.total_micros)}${receipt.play_money ? ' play money' : ''}`],
    ]),
  ];
}

function estimateFacts({ estimate, job, cost_micros: cost }: JobReceipt): (readonly [string, string])[] {
  if (!estimate) return [];
  const expected = `${money(estimate.cost_low_micros)} to ${money(estimate.cost_high_micros)}, ${estimate.run_low_seconds} to ${estimate.run_high_seconds} s`;
  return [['expected', `${expected}; it came to ${money(cost)} and ${job.run_seconds} s`]];
}

function feeText({ fee_micros: fee }: Pick<JobReceipt, 'fee_micros'>): string {
  return fee === '0' ? '' : `, ${money(fee)} of it is the market's fee`;
}

function logBytes(tries: readonly ReceiptTry[]): number {
  return tries.reduce((sum, one) => sum + one.log.bytes, 0);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
