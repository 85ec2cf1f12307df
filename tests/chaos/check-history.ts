import { endReason, endReasonRow } from '@computefabric/protocol/end-reason';
import { jobMachine, jobState } from '@computefabric/protocol/job-state';
import { leaseMachine, leaseState } from '@computefabric/protocol/lease-state';
import type { HistoryLine, LineOf } from './history.ts';

/** A promise of the market that a history breaks. */
export interface Violation {
  rule: Rule;
  /** The job, try or account it is about. */
  subject: string;
  detail: string;
}

export const rules = {
  complete: 'the history is whole: it began, the storm ended, everything was looked at',
  'nothing-lost': 'every submitted job is there',
  'nothing-invented': 'every job was submitted, once',
  'final-once': 'every job becomes final, exactly once, and stays so',
  'legal-edges': 'jobs and tries only move along the edges of the state tables',
  'one-fence': 'no two tries of a job are valid at the same time, and fences grow',
  'stale-fence': 'nothing is accepted for a try after another one has taken its job',
  result: 'state, exit code, output and files are those of the program, and all of one try',
  bill: 'a bill is the metered span at the frozen price, and only for reasons that are billed',
  'settle-once': 'each job is settled exactly once: one hold, one payment per try, the rest given back',
  books: 'balances are the sums of their transfers, all together are zero, nothing is held',
  'nothing-left': 'no container, network, mount or process is left behind',
} as const;
export type Rule = keyof typeof rules;

type Job = LineOf<'job'>;
type Lease = LineOf<'lease'>;
type Transfer = LineOf<'transfer'>;

/**
 * Judges a run by its history alone. Knows the protocol's state tables and nothing else of the programs: what
 * it says does not depend on the code that it judges.
 */
export function checkHistory(lines: readonly HistoryLine[]): Violation[] {
  const of = <K extends HistoryLine['kind']>(kind: K) =>
    lines.filter((line): line is LineOf<K> => line.kind === kind);
  const found: Violation[] = [];
  const report: Report = (rule, subject, detail) => found.push({ rule, subject, detail });

  for (const kind of ['run', 'calm', 'end'] as const) {
    if (of(kind).length !== 1) report('complete', 'history', `it has ${of(kind).length} lines "${kind}"`);
  }
  const submitted = of('submitted');
  if (submitted.length === 0) report('complete', 'history', 'no job was submitted');
  const jobs = new Map(of('job').map((job) => [job.jobId, job]));
  const events = groupBy(of('event'), ({ jobId }) => jobId);
  const seen = groupBy(of('seen'), ({ jobId }) => jobId);
  const leases = groupBy(of('lease'), ({ jobId }) => jobId);
  const outputs = groupBy(of('output'), ({ jobId }) => jobId);
  const files = groupBy(of('file'), ({ jobId }) => jobId);
  const transfers = groupBy(of('transfer'), ({ jobId }) => jobId ?? '');
  const payments = groupBy(of('payment'), ({ jobId }) => jobId);

  for (const { jobId } of submitted) {
    if (!jobs.has(jobId)) report('nothing-lost', jobId, 'it was accepted and is not there any more');
  }
  for (const [jobId, those] of groupBy(submitted, (line) => line.jobId)) {
    if (those.length > 1) report('nothing-invented', jobId, `${those.length} submits gave this one job`);
  }
  const known = new Set(submitted.map(({ jobId }) => jobId));
  for (const jobId of jobs.keys()) {
    if (!known.has(jobId)) report('nothing-invented', jobId, 'nobody submitted it');
  }

  for (const job of jobs.values()) {
    const tries = (leases.get(job.jobId) ?? []).toSorted((a, b) => a.attempt - b.attempt);
    const jobEvents = (events.get(job.jobId) ?? []).toSorted((a, b) => a.seq - b.seq);
    checkFinal(job, jobEvents, seen.get(job.jobId) ?? [], report);
    checkEdges(job, jobEvents, seen.get(job.jobId) ?? [], report);
    for (const lease of tries) checkLease(lease, job, report);
    checkFences(job, tries, report);
    checkSettled(job, tries, transfers.get(job.jobId) ?? [], payments.get(job.jobId) ?? [], report);
  }
  for (const { jobId, expect } of submitted) {
    const job = jobs.get(jobId);
    if (job)
      checkResult(
        job,
        expect,
        outputs.get(jobId) ?? [],
        files.get(jobId) ?? [],
        leases.get(jobId) ?? [],
        report,
      );
  }
  checkStaleCalls(of('call'), of('lease'), report);
  checkBooks(of('account'), of('transfer'), report);
  for (const { what } of of('left-over')) report('nothing-left', what, 'is still there');
  return found;
}

type Report = (rule: Rule, subject: string, detail: string) => void;

function checkFinal(job: Job, events: LineOf<'event'>[], seen: LineOf<'seen'>[], report: Report): void {
  if (!isFinal(job.state))
    report('final-once', job.jobId, `it is ${job.state} after everything has calmed down`);
  const ends = events.filter(({ state }) => isFinal(state));
  const [end] = ends;
  if (ends.length > 1) report('final-once', job.jobId, `it ended ${ends.length} times`);
  if (end && end !== events.at(-1))
    report('final-once', job.jobId, `something happened after event ${end.seq}, its end`);
  if (isFinal(job.state) && end?.state !== job.state)
    report('final-once', job.jobId, `it is ${job.state} and its last event says ${end?.state ?? 'nothing'}`);
  for (const { state } of seen) {
    if (isFinal(state) && state !== job.state)
      report('final-once', job.jobId, `it was seen ${state} and became ${job.state}`);
  }
}

function checkEdges(job: Job, events: LineOf<'event'>[], seen: LineOf<'seen'>[], report: Report): void {
  events.forEach((event, index) => {
    if (event.seq !== index + 1) report('legal-edges', job.jobId, `event ${index + 1} is missing`);
    const before = events[index - 1];
    if (!before || before.state === event.state) return;
    if (!canMove(before.state, event.state))
      report('legal-edges', job.jobId, `from ${before.state} to ${event.state} with event ${event.seq}`);
  });
  if (events.length === 0) report('legal-edges', job.jobId, 'it has no events');
  seen.forEach(({ state }, index) => {
    const before = seen[index - 1];
    if (before && !canReach(before.state, state))
      report('legal-edges', job.jobId, `it was seen ${before.state} and later ${state}`);
  });
}

/** Moments of a lease in their order, its end, and its bill. */
function checkLease(lease: Lease, job: Job, report: Report): void {
  const state = leaseState.safeParse(lease.state);
  if (!state.success || !leaseMachine.isTerminal(state.data))
    report('legal-edges', lease.leaseId, `it is ${lease.state} after everything has calmed down`);
  // Reports of the machine, one after the other. An end is not among them: who ends a try may have begun before
  // its last report did and waited for it, and moments are those at which a transaction began.
  const set = [lease.offeredAt, lease.acceptedAt, lease.startedAt].filter((moment) => moment !== null);
  if (set.some((moment, index) => index > 0 && moment < (set[index - 1] ?? 0)))
    report('legal-edges', lease.leaseId, `its moments are out of order: ${set.join(', ')}`);
  if (lease.endedAt === null) report('legal-edges', lease.leaseId, 'it never ended');
  if (lease.startedAt !== null && lease.acceptedAt === null)
    report('legal-edges', lease.leaseId, 'it started and was never accepted');
  const neverAccepted = ['rejected', 'withdrawn', 'expired'];
  if (neverAccepted.includes(lease.state) && lease.acceptedAt !== null)
    report('legal-edges', lease.leaseId, `it was accepted and is ${lease.state}`);

  const reason = endReason.safeParse(lease.endReason);
  if (!reason.success) {
    report('legal-edges', lease.leaseId, `it has no known end reason: ${lease.endReason}`);
    return;
  }
  const spanMs =
    lease.startedAt === null ? 0 : (lease.exitedAt ?? lease.endedAt ?? 0) - lease.startedAt - lease.silentMs;
  const metered = Math.min(Math.max(spanMs, 0), job.timeLimitSeconds * 1_000);
  const due = endReasonRow(reason.data).billable ? metered : 0;
  if (Math.abs(lease.billedMs - due) > roundingMs)
    report('bill', lease.leaseId, `${lease.billedMs} ms are billed for ${reason.data} after ${due} ms`);
  const cost = (BigInt(lease.billedMs) * BigInt(lease.pricePerHourMicros)) / 3_600_000n;
  if (cost !== BigInt(lease.costMicros))
    report('bill', lease.leaseId, `it costs ${lease.costMicros} instead of ${cost} micros`);
  if (BigInt(lease.earnedMicros) > BigInt(lease.costMicros) || BigInt(lease.earnedMicros) < 0n)
    report('bill', lease.leaseId, `of ${lease.costMicros} micros its owner earns ${lease.earnedMicros}`);
}

/** The database keeps microseconds, a bill whole milliseconds of two rounded moments. */
const roundingMs = 2;

/**
 * A try is valid from its offer until it ends or its machine is taken for silent. The next offer is made by
 * somebody who has seen that end, so not even a millisecond may overlap.
 */
function checkFences(job: Job, tries: readonly Lease[], report: Report): void {
  tries.forEach((lease, index) => {
    const before = tries[index - 1];
    if (!before) return;
    if (before.fence >= lease.fence)
      report('one-fence', job.jobId, `try ${lease.attempt} has fence ${lease.fence} after ${before.fence}`);
    const over = Math.min(
      before.endedAt ?? Number.POSITIVE_INFINITY,
      before.silentAt ?? Number.POSITIVE_INFINITY,
    );
    if (lease.offeredAt < over)
      report(
        'one-fence',
        job.jobId,
        `fence ${lease.fence} was given ${over - lease.offeredAt} ms before ${before.fence} ended`,
      );
  });
  if (tries.length !== job.attempts)
    report('one-fence', job.jobId, `it counts ${job.attempts} tries and has ${tries.length}`);
  // The program's end is accepted at most once: of all tries at most one gives the job its final state.
  const deciding = tries.filter(({ endReason: reason }) => reason === 'exited-zero');
  if (deciding.length > 1) report('result', job.jobId, `${deciding.length} tries of it succeeded`);
}

function checkResult(
  job: Job,
  expect: LineOf<'submitted'>['expect'],
  outputs: LineOf<'output'>[],
  files: LineOf<'file'>[],
  tries: readonly Lease[],
  report: Report,
): void {
  if (job.state !== expect.state) {
    report('result', job.jobId, `it is ${job.state} (${job.endReason}) instead of ${expect.state}`);
    return;
  }
  if (expect.exitCode !== null && job.exitCode !== expect.exitCode)
    report('result', job.jobId, `its exit code is ${job.exitCode} instead of ${expect.exitCode}`);
  const last = Math.max(0, ...tries.map(({ attempt }) => attempt));
  if (expect.stdout !== null) {
    const printed = outputs.find(({ attempt }) => attempt === last)?.stdout ?? '';
    if (printed !== expect.stdout)
      report('result', job.jobId, `output of try ${last}: ${difference(expect.stdout, printed)}`);
  }
  const got = files.filter(({ attempt }) => attempt === last);
  for (const file of expect.files) {
    const found = got.filter(({ path }) => path === file.path);
    if (found.length !== 1) report('result', job.jobId, `${found.length} files ${file.path}`);
    if (found.some(({ sha256, sizeBytes }) => sha256 !== file.sha256 || sizeBytes !== file.sizeBytes))
      report('result', job.jobId, `${file.path} is another file than was written`);
    if (found.some(({ downloadedSha256 }) => downloadedSha256 !== null && downloadedSha256 !== file.sha256))
      report('result', job.jobId, `${file.path} was damaged in the store`);
  }
  const extra = got.filter(({ path }) => !expect.files.some((file) => file.path === path));
  if (expect.stdout !== null && extra.length > 0)
    report('result', job.jobId, `files that nobody wrote: ${extra.map(({ path }) => path).join(', ')}`);
}

/** Reports after which something changes. Releasing is not among them: it only says that nothing is left. */
const changing = new Set(['accept', 'reject', 'started', 'logs', 'exited', 'artifacts', 'ended']);

/**
 * A try that ended by itself may repeat its last reports and is told the same again; what somebody else ended
 * (time, the renter, the market) has nothing to say any more once the next try was offered.
 */
function checkStaleCalls(calls: LineOf<'call'>[], leases: Lease[], report: Report): void {
  const byId = new Map(leases.map((lease) => [lease.leaseId, lease]));
  const byJob = groupBy(leases, ({ jobId }) => jobId);
  for (const call of calls) {
    if (call.status < 200 || call.status > 299 || !changing.has(call.call)) continue;
    const lease = byId.get(call.leaseId);
    if (!lease) {
      report('stale-fence', call.leaseId, `${call.call} of a try that does not exist was accepted`);
      continue;
    }
    if (call.fence !== lease.fence)
      report(
        'stale-fence',
        call.leaseId,
        `${call.call} with fence ${call.fence} instead of ${lease.fence} was accepted`,
      );
    const endedByOthers =
      ['provider-lost', 'offer-expired', 'superseded'].includes(lease.endReason ?? '') ||
      lease.state === 'withdrawn';
    if (!endedByOthers) continue;
    const next = byJob
      .get(lease.jobId)
      ?.filter(({ fence }) => fence > lease.fence)
      .map(({ offeredAt }) => offeredAt);
    if (next?.length && call.at > Math.min(...next))
      report(
        'stale-fence',
        call.leaseId,
        `${call.call} of fence ${call.fence} was accepted after the next try had been offered`,
      );
  }
}

function checkSettled(
  job: Job,
  tries: readonly Lease[],
  transfers: Transfer[],
  payments: LineOf<'payment'>[],
  report: Report,
): void {
  const wrong = (detail: string) => report('settle-once', job.jobId, detail);
  const of = (kind: string) => transfers.filter(({ transfer }) => transfer === kind);
  const [payment] = payments;
  if (!payment || payments.length !== 1) {
    wrong(`it has ${payments.length} payments`);
    return;
  }
  if (payment.state !== 'succeeded') wrong(`its payment is ${payment.state}`);
  if (of('hold').length > 1 || sum(of('hold')) !== BigInt(payment.holdMicros))
    wrong(`${of('hold').length} holds of ${sum(of('hold'))} for a hold of ${payment.holdMicros}`);
  if (of('release').length > 1) wrong(`${of('release').length} times the rest was given back`);
  const cost = tries.reduce((total, lease) => total + BigInt(lease.costMicros), 0n);
  if (BigInt(job.costMicros) !== cost) wrong(`it costs ${job.costMicros}, its tries ${cost} micros`);
  if (BigInt(payment.amountMicros) !== cost) wrong(`${payment.amountMicros} of ${cost} micros were paid`);
  for (const lease of tries) {
    const paid = transfers.filter(({ leaseId }) => leaseId === lease.leaseId);
    for (const kind of ['earn', 'fee']) {
      const times = paid.filter(({ transfer }) => transfer === kind).length;
      if (times > 1) wrong(`${lease.leaseId} was paid ${times} times (${kind})`);
    }
    if (sum(paid) !== BigInt(lease.costMicros))
      wrong(`${lease.leaseId} costs ${lease.costMicros} and was paid ${sum(paid)} micros`);
    if (sum(paid.filter(({ transfer }) => transfer === 'earn')) !== BigInt(lease.earnedMicros))
      wrong(`the owner of ${lease.leaseId} got another sum than the ${lease.earnedMicros} micros earned`);
  }
  const back = sum(of('hold')) - sum(of('earn')) - sum(of('fee'));
  if (sum(of('release')) !== back) wrong(`${sum(of('release'))} instead of ${back} micros were given back`);
}

function checkBooks(accounts: LineOf<'account'>[], transfers: Transfer[], report: Report): void {
  const credits = new Map<string, bigint>();
  const debits = new Map<string, bigint>();
  for (const { id, debit, credit, amountMicros } of transfers) {
    if (BigInt(amountMicros) <= 0n) report('books', id, `it moves ${amountMicros} micros`);
    credits.set(credit, (credits.get(credit) ?? 0n) + BigInt(amountMicros));
    debits.set(debit, (debits.get(debit) ?? 0n) + BigInt(amountMicros));
  }
  let total = 0n;
  for (const { id, account, creditsMicros, debitsMicros } of accounts) {
    const balance = BigInt(creditsMicros) - BigInt(debitsMicros);
    total += balance;
    if (BigInt(creditsMicros) !== (credits.get(id) ?? 0n) || BigInt(debitsMicros) !== (debits.get(id) ?? 0n))
      report('books', id, `its totals are not the sums of its transfers (${account})`);
    if (account === 'renter_held' && balance !== 0n) report('books', id, `${balance} micros are still held`);
    if (account !== 'promotions' && balance < 0n)
      report('books', id, `it owes ${-balance} micros (${account})`);
  }
  if (total !== 0n) report('books', 'all accounts', `together they are ${total} micros`);
  if (accounts.length === 0) report('complete', 'history', 'it has no accounts');
}

function isFinal(state: string): boolean {
  const known = jobState.safeParse(state);
  return known.success && jobMachine.isTerminal(known.data);
}

/** Whether an edge of the table leads from one state of a job to another. */
function canMove(from: string, to: string): boolean {
  const [a, b] = [jobState.safeParse(from), jobState.safeParse(to)];
  return a.success && b.success && jobMachine.canMove(a.data, b.data);
}

/** Whether some road leads from one state of a job to another; between two looks it may have gone several edges. */
function canReach(from: string, to: string): boolean {
  const start = jobState.safeParse(from);
  if (!start.success) return false;
  const reached = new Set([start.data]);
  for (const state of reached) {
    for (const next of jobMachine.states) if (jobMachine.canMove(state, next)) reached.add(next);
  }
  return [...reached].some((state) => state === to);
}

function sum(transfers: readonly Transfer[]): bigint {
  return transfers.reduce((total, { amountMicros }) => total + BigInt(amountMicros), 0n);
}

function groupBy<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(key(value), [...(groups.get(key(value)) ?? []), value]);
  return groups;
}

function difference(expected: string, got: string): string {
  const [want, have] = [expected.split('\n'), got.split('\n')];
  const at = want.findIndex((line, index) => line !== have[index]);
  const line = at === -1 ? want.length : at;
  return `${have.length - 1} lines instead of ${want.length - 1}; line ${line + 1} is ${JSON.stringify(have[line] ?? null)} instead of ${JSON.stringify(want[line] ?? null)}`;
}
