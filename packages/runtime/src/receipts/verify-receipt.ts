import { endReasonRow } from '@computefabric/protocol/end-reason';
import {
  type GroupReceipt,
  type JobReceipt,
  type ReceiptTry,
  type SignedReceipt,
  signedReceipt,
} from '@computefabric/protocol/receipts/receipt';
import { checkChain } from './metering-chain.ts';
import { fingerprintsOf, sealedText } from './seal-receipt.ts';
import { isSignedBy, keyIdOf } from './signatures.ts';

export interface ReceiptProblem {
  /** Such as `tries[0].billed_ms`. */
  path: string;
  message: string;
}

export interface Verification {
  /** Empty: the receipt is what the market signed, and its sums are right. */
  problems: ReceiptProblem[];
  /** What is weaker than it could be. */
  notes: string[];
  /** Null when it cannot be read at all. */
  signed: SignedReceipt | null;
}

const msPerHour = 3_600_000n;

/**
 * Checks a receipt by itself, without asking anybody: signature, sums, and the chain of metering records.
 *
 * @param input what was read from the file, parsed from JSON
 * @param keys the market's public keys by key id
 */
export function verifyReceipt(input: unknown, keys: ReadonlyMap<string, string>): Verification {
  const parsed = signedReceipt.safeParse(input);
  if (!parsed.success) return { problems: problemsOfForm(input), notes: [], signed: null };
  const signed = parsed.data;
  const { receipt } = signed;
  const body =
    receipt.type === 'computefabric-receipt/1'
      ? checkJobReceipt(receipt, keys)
      : { problems: checkGroupReceipt(receipt), notes: [] };
  const problems = [...checkFingerprints(signed), ...body.problems, ...checkSignature(signed, keys)];
  return { problems, notes: body.notes, signed };
}

/** Reads a receipt from text and checks it. */
export function verifyReceiptText(text: string, keys: ReadonlyMap<string, string>): Verification {
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    const problems = [{ path: '', message: 'is not JSON' }];
    return { problems, notes: [], signed: null };
  }
  return verifyReceipt(input, keys);
}

/** What keeps it from being a receipt at all. Fingerprints still name what was changed, where there are some. */
function problemsOfForm(input: unknown): ReceiptProblem[] {
  const parsed = signedReceipt.safeParse(input);
  const found = parsed.error?.issues.flatMap((issue) =>
    issue.code === 'invalid_union'
      ? (issue.errors.toSorted((a, b) => a.length - b.length)[0] ?? [])
      : [issue],
  );
  return (found ?? []).map((issue) => ({
    path: issue.path
      .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
      .join('')
      .replace(/^\.(receipt\.)?/, ''),
    message: issue.message,
  }));
}

function checkFingerprints({ receipt, fingerprints }: SignedReceipt): ReceiptProblem[] {
  const actual = new Map(Object.entries(fingerprintsOf(receipt)));
  const said = new Map(Object.entries(fingerprints));
  return [
    ...[...actual]
      .filter(([path, hash]) => said.get(path) !== hash)
      .map(([path]) => ({
        path,
        message: said.has(path) ? 'was changed: it does not fit its fingerprint' : 'has no fingerprint',
      })),
    ...[...said.keys()]
      .filter((path) => !actual.has(path))
      .map((path) => ({ path, message: 'was taken out' })),
  ];
}

function checkSignature(signed: SignedReceipt, keys: ReadonlyMap<string, string>): ReceiptProblem[] {
  const publicKey = keys.get(signed.signature.key);
  if (publicKey === undefined || keyIdOf(publicKey) !== signed.signature.key) {
    return [{ path: 'signature.key', message: `${signed.signature.key} is no known key of this market` }];
  }
  if (isSignedBy(publicKey, sealedText(signed), signed.signature.value)) return [];
  return [{ path: 'signature.value', message: 'the signature does not fit the receipt' }];
}

function checkJobReceipt(
  receipt: JobReceipt,
  keys: ReadonlyMap<string, string>,
): Pick<Verification, 'problems' | 'notes'> {
  const problems: ReceiptProblem[] = [];
  const notes: string[] = [];
  const expect = (
    path: string,
    is: bigint | number | string,
    must: bigint | number | string,
    why: string,
  ) => {
    if (String(is) !== String(must)) problems.push({ path, message: `is ${is} and must be ${must}: ${why}` });
  };
  for (const [index, one] of receipt.tries.entries()) {
    const at = `tries[${index}]`;
    checkTry(one, (field, is, must, why) => expect(`${at}.${field}`, is, must, why));
    const agent = new Map(
      one.agent_keys
        .filter(({ key, public_key }) => keyIdOf(public_key) === key)
        .map((each) => [each.key, each.public_key]),
    );
    const terms = {
      leaseId: one.lease_id,
      jobId: receipt.job.id,
      fence: one.fence,
      attempt: one.attempt,
      pricePerHourMicros: one.price_per_hour_micros,
      gpuUuids: one.gpus.map(({ uuid }) => uuid),
    };
    for (const { index: place, message } of checkChain(terms, one.intervals, { market: keys, agent })) {
      problems.push({ path: `${at}.intervals[${place}]`, message });
    }
    const last = one.intervals.at(-1);
    if (last && last.agent_signature === null) {
      notes.push(
        `try ${one.attempt}: the machine has not signed its last metering record (an older agent, or one that was cut off)`,
      );
    }
  }
  const sum = (values: readonly string[]) => values.reduce((total, value) => total + BigInt(value), 0n);
  const { tries, ledger } = receipt;
  const moved = (...kinds: string[]) =>
    sum(ledger.filter(({ kind }) => kinds.includes(kind)).map(({ amount_micros }) => amount_micros));
  expect(
    'cost_micros',
    receipt.cost_micros,
    sum(tries.map((one) => one.cost_micros)),
    'the sum of its tries',
  );
  expect('fee_micros', receipt.fee_micros, sum(tries.map((one) => one.fee_micros)), 'the sum of its tries');
  expect(
    'earned_micros',
    receipt.earned_micros,
    sum(tries.map((one) => one.earned_micros)),
    'the sum of its tries',
  );
  expect('cost_micros', receipt.cost_micros, moved('earn', 'fee'), 'what the ledger moved');
  expect('refunded_micros', receipt.refunded_micros, moved('refund'), 'what the ledger moved');
  expect('hold_micros', receipt.hold_micros, moved('hold'), 'what the ledger moved');
  expect('released_micros', receipt.released_micros, moved('release'), 'what the ledger moved');
  expect(
    'released_micros',
    receipt.released_micros,
    BigInt(receipt.hold_micros) - BigInt(receipt.cost_micros),
    'the hold less the cost',
  );
  expect(
    'total_micros',
    receipt.total_micros,
    BigInt(receipt.cost_micros) - BigInt(receipt.refunded_micros),
    'the cost less refunds',
  );
  const total = (field: 'billed_ms' | 'free_ms') => tries.reduce((ms, one) => ms + one[field], 0);
  expect('billed_ms', receipt.billed_ms, total('billed_ms'), 'the sum of its tries');
  expect('free_ms', receipt.free_ms, total('free_ms'), 'the sum of its tries');
  return { problems, notes };
}

function checkTry(
  one: ReceiptTry,
  expect: (field: string, is: bigint | number | string, must: bigint | number | string, why: string) => void,
): void {
  const cost = (BigInt(one.billed_ms) * BigInt(one.price_per_hour_micros)) / msPerHour;
  expect('cost_micros', one.cost_micros, cost, 'billed_ms × price_per_hour_micros ÷ 3600000, rounded down');
  expect(
    'earned_micros',
    one.earned_micros,
    BigInt(one.cost_micros) - BigInt(one.fee_micros),
    'the cost less the fee',
  );
  expect('free_ms', one.free_ms, one.metered_ms - one.billed_ms, 'metered_ms less billed_ms');
  expect(
    'metered_ms',
    one.metered_ms,
    one.intervals.at(-1)?.total_ms ?? 0,
    'the total of the last metering record',
  );
  if (one.billed_ms > one.metered_ms)
    expect('billed_ms', one.billed_ms, one.metered_ms, 'no more than was metered');
  const row = endReasonRow(one.end_reason);
  expect('fault', one.fault, row.fault, 'what follows from the end reason');
  if (!row.billable && !row.billedToCheckpoint) expect('billed_ms', one.billed_ms, 0, 'such an end is free');
  const [first] = one.intervals;
  if (!first) {
    expect('started_at', one.started_at ?? 'null', 'null', 'a try that ran has metering records');
    return;
  }
  expect('started_at', one.started_at ?? 'null', first.from, 'where the first metering record begins');
  const last = one.intervals.at(-1) ?? first;
  // A record is written at a heartbeat that may arrive in the moment of the exit.
  if (one.exited_at === null || one.exited_at > last.to)
    expect('exited_at', one.exited_at ?? 'null', last.to, 'where the last metering record ends');
  if (!last.final)
    expect(`intervals[${one.intervals.length - 1}].final`, 'false', 'true', 'the try has ended');
}

function checkGroupReceipt(receipt: GroupReceipt): ReceiptProblem[] {
  const problems: ReceiptProblem[] = [];
  const fields = ['cost_micros', 'fee_micros', 'earned_micros', 'refunded_micros', 'total_micros'] as const;
  for (const field of fields) {
    const sum = receipt.members.reduce((total, member) => total + BigInt(member[field]), 0n);
    if (BigInt(receipt[field]) !== sum)
      problems.push({
        path: field,
        message: `is ${receipt[field]} and must be ${sum}: the sum of its members`,
      });
  }
  for (const [index, member] of receipt.members.entries()) {
    const total = BigInt(member.cost_micros) - BigInt(member.refunded_micros);
    if (BigInt(member.total_micros) !== total)
      problems.push({
        path: `members[${index}].total_micros`,
        message: `must be ${total}: the cost less refunds`,
      });
  }
  if (receipt.members.length !== receipt.group.size)
    problems.push({ path: 'members', message: `there must be ${receipt.group.size}` });
  return problems;
}
