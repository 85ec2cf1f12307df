import { describe, expect, test } from 'vitest';
import { checkHistory, type Rule, rules } from './check-history.ts';
import { type HistoryLine, historyLine, type LineOf } from './history.ts';

const start = 1_700_000_000_000;
const rate = 36_000_000n; // micros per hour: 10 micros per millisecond

type Kind = HistoryLine['kind'];

/** A small history in which all is well: job a was lost once and then succeeded, job b failed. */
function goodHistory(): HistoryLine[] {
  const lines: HistoryLine[] = [
    { kind: 'run', at: start, seed: 1, options: {} },
    submitted('job_a', { state: 'succeeded', exitCode: 0, stdout: 'one\ntwo\n', files: [file] }),
    submitted('job_b', { state: 'failed', exitCode: 3, stdout: 'oh\n', files: [] }),
    seen('job_a', 'queued'),
    seen('job_a', 'running'),
    seen('job_a', 'succeeded'),
    lease({
      leaseId: 'lease_1',
      fence: 1,
      state: 'lost',
      startedAt: start + 200,
      exitedAt: start + 5_000,
      endedAt: start + 5_000,
      releasedAt: null,
      endReason: 'provider-lost',
      billedMs: 0,
      costMicros: '0',
      earnedMicros: '0',
    }),
    lease({
      leaseId: 'lease_2',
      attempt: 2,
      fence: 2,
      offeredAt: start + 5_001,
      acceptedAt: start + 5_002,
      startedAt: start + 5_100,
      exitedAt: start + 6_100,
      endedAt: start + 6_200,
      releasedAt: start + 6_300,
    }),
    lease({ leaseId: 'lease_3', jobId: 'job_b', fence: 3, endReason: 'exited-nonzero', exitCode: 3 }),
    call('lease_1', 1, 'started', start + 200, 200),
    call('lease_1', 1, 'ended', start + 5_500, 409),
    call('lease_2', 2, 'ended', start + 6_150, 200),
    call('lease_2', 2, 'ended', start + 6_250, 200),
    { kind: 'calm', at: start + 9_000 },
    job({ jobId: 'job_a', attempts: 2 }),
    job({ jobId: 'job_b', state: 'failed', endReason: 'exited-nonzero', exitCode: 3 }),
    ...events('job_a', [
      'queued',
      'preparing',
      'preparing',
      'running',
      'queued',
      'preparing',
      'running',
      'finishing',
      'succeeded',
    ]),
    ...events('job_b', ['queued', 'preparing', 'running', 'finishing', 'failed']),
    { kind: 'output', jobId: 'job_a', attempt: 2, stdout: 'one\ntwo\n' },
    { kind: 'output', jobId: 'job_b', attempt: 1, stdout: 'oh\n' },
    { kind: 'file', jobId: 'job_a', attempt: 2, ...file, downloadedSha256: file.sha256 },
    transfer('grant', 'grant:1', 'market', 'renter', 1_000_000n, null),
    ...['job_a', 'job_b'].flatMap((jobId) => settled(jobId, jobId === 'job_a' ? 'lease_2' : 'lease_3')),
    account('promotions', 'market', 0n, 1_000_000n),
    account('renter_available', 'renter', 1_000_000n + 180_000n, 200_000n),
    account('renter_held', 'held', 200_000n, 200_000n),
    account('provider_payable', 'owner', 19_000n, 0n),
    account('platform_fees', 'fees', 1_000n, 0n),
    { kind: 'end', at: start + 10_000 },
  ];
  return lines.map((line) => historyLine.parse(line));
}

const file = { path: 'result.txt', sizeBytes: 3, sha256: 'abc' };

function submitted(jobId: string, expect: LineOf<'submitted'>['expect']): LineOf<'submitted'> {
  return { kind: 'submitted', at: start, key: `key of ${jobId}`, jobId, expect };
}
function seen(jobId: string, state: string): LineOf<'seen'> {
  return { kind: 'seen', at: start, jobId, state };
}
function job(change: Partial<LineOf<'job'>>): LineOf<'job'> {
  const costMicros = '10000';
  return {
    kind: 'job',
    jobId: '',
    state: 'succeeded',
    endReason: 'exited-zero',
    exitCode: 0,
    attempts: 1,
    costMicros,
    timeLimitSeconds: 60,
    ...change,
  };
}
function lease(change: Partial<LineOf<'lease'>>): LineOf<'lease'> {
  return {
    kind: 'lease',
    leaseId: '',
    jobId: 'job_a',
    providerId: 'prov_1',
    attempt: 1,
    fence: 1,
    state: 'released',
    offeredAt: start,
    acceptedAt: start + 100,
    startedAt: start + 1_000,
    exitedAt: start + 2_000,
    silentAt: null,
    silentMs: 0,
    endedAt: start + 3_000,
    releasedAt: start + 4_000,
    endReason: 'exited-zero',
    exitCode: 0,
    pricePerHourMicros: rate.toString(),
    billedMs: 1_000,
    costMicros: '10000',
    earnedMicros: '9500',
    ...change,
  };
}
function call(leaseId: string, fence: number, name: string, at: number, status: number): LineOf<'call'> {
  return { kind: 'call', at, answeredAt: at + 1, provider: 'machine-0', call: name, leaseId, fence, status };
}
function events(jobId: string, states: string[]): LineOf<'event'>[] {
  return states.map((state, index) => ({
    kind: 'event',
    jobId,
    seq: index + 1,
    at: start,
    type: 'x',
    state,
    leaseId: null,
  }));
}
function transfer(
  kind: string,
  id: string,
  debit: string,
  credit: string,
  amount: bigint,
  jobId: string | null,
  leaseId: string | null = null,
): LineOf<'transfer'> {
  return {
    kind: 'transfer',
    id,
    transfer: kind,
    debit,
    credit,
    amountMicros: amount.toString(),
    jobId,
    leaseId,
  };
}
function settled(jobId: string, leaseId: string): HistoryLine[] {
  return [
    transfer('hold', `hold:${jobId}`, 'renter', 'held', 100_000n, jobId),
    transfer('earn', `earn:${jobId}`, 'held', 'owner', 9_500n, jobId, leaseId),
    transfer('fee', `fee:${jobId}`, 'held', 'fees', 500n, jobId, leaseId),
    transfer('release', `release:${jobId}`, 'held', 'renter', 90_000n, jobId),
    { kind: 'payment', jobId, state: 'succeeded', holdMicros: '100000', amountMicros: '10000' },
  ];
}
function account(kind: string, id: string, credits: bigint, debits: bigint): LineOf<'account'> {
  return {
    kind: 'account',
    id,
    account: kind,
    owner: null,
    creditsMicros: credits.toString(),
    debitsMicros: debits.toString(),
  };
}

/** The good history with one line of a kind changed: the first for which `which` holds. */
function changed<K extends Kind>(
  kind: K,
  which: (line: LineOf<K>) => boolean,
  change: Partial<LineOf<K>>,
): HistoryLine[] {
  const lines = goodHistory();
  const index = lines.findIndex((line) => line.kind === kind && which(line as LineOf<K>));
  if (index === -1) throw new Error(`no such line ${kind}`);
  lines[index] = historyLine.parse({ ...lines[index], ...change });
  return lines;
}
function without<K extends Kind>(kind: K, which: (line: LineOf<K>) => boolean = () => true): HistoryLine[] {
  return goodHistory().filter((line) => !(line.kind === kind && which(line as LineOf<K>)));
}

const broken: [string, Rule, () => HistoryLine[]][] = [
  ['a run that was cut off', 'complete', () => without('end')],
  ['a storm that never ended', 'complete', () => without('calm')],
  ['books that nobody looked at', 'complete', () => without('account')],
  [
    'a job that was accepted and vanished',
    'nothing-lost',
    () => without('job', ({ jobId }) => jobId === 'job_b'),
  ],
  ['a job that nobody submitted', 'nothing-invented', () => [...goodHistory(), job({ jobId: 'job_c' })]],
  [
    'two submits that became one job',
    'nothing-invented',
    () => [
      ...goodHistory(),
      submitted('job_a', { state: 'succeeded', exitCode: 0, stdout: null, files: [] }),
    ],
  ],
  [
    'a job that waits for ever',
    'final-once',
    () => changed('job', ({ jobId }) => jobId === 'job_b', { state: 'queued' }),
  ],
  [
    'a job that ended twice',
    'final-once',
    () => [
      ...goodHistory(),
      ...events('job_a', ['succeeded', 'succeeded']).map((event) => ({ ...event, seq: event.seq + 9 })),
    ],
  ],
  [
    'a job that went on after its end',
    'final-once',
    () => [...goodHistory(), { ...events('job_a', ['running'])[0], seq: 10 } as LineOf<'event'>],
  ],
  [
    'a job that was seen failed and then succeeded',
    'final-once',
    () => [...goodHistory(), seen('job_a', 'failed')],
  ],
  [
    'a job whose last event says otherwise',
    'final-once',
    () => changed('event', ({ jobId, seq }) => jobId === 'job_b' && seq === 5, { state: 'cancelled' }),
  ],
  [
    'a step back that the table does not have',
    'legal-edges',
    () =>
      changed('event', ({ jobId, seq }) => jobId === 'job_b' && seq === 3, { state: 'finishing' }).map(
        (line) =>
          line.kind === 'event' && line.jobId === 'job_b' && line.seq === 4
            ? { ...line, state: 'running' }
            : line,
      ),
  ],
  [
    'a missing event',
    'legal-edges',
    () => without('event', ({ jobId, seq }) => jobId === 'job_a' && seq === 2),
  ],
  ['a job without events', 'legal-edges', () => without('event', ({ jobId }) => jobId === 'job_b')],
  [
    'a job that was seen going back from its end',
    'legal-edges',
    () => [...goodHistory(), seen('job_a', 'queued')],
  ],
  [
    'a try that nobody ended',
    'legal-edges',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_1', { state: 'active' }),
  ],
  [
    'a start before the acceptance',
    'legal-edges',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_3', { startedAt: start + 50 }),
  ],
  [
    'a start without an acceptance',
    'legal-edges',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_3', { acceptedAt: null }),
  ],
  [
    'an accepted offer that is called rejected',
    'legal-edges',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_1', { state: 'rejected' }),
  ],
  [
    'an end reason that no table has',
    'legal-edges',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_1', { endReason: 'tired' }),
  ],
  [
    'two valid fences at once',
    'one-fence',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_2', { offeredAt: start + 4_999 }),
  ],
  [
    'a first try that never ended while a second one runs',
    'one-fence',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_1', { endedAt: null }),
  ],
  [
    'a fence that does not grow',
    'one-fence',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_2', { fence: 1 }),
  ],
  [
    'a try that was not counted',
    'one-fence',
    () => changed('job', ({ jobId }) => jobId === 'job_a', { attempts: 3 }),
  ],
  [
    'a late result of a lost try that was accepted',
    'stale-fence',
    () => changed('call', ({ status }) => status === 409, { status: 200 }),
  ],
  [
    'late output of a lost try that was accepted',
    'stale-fence',
    () => changed('call', ({ status }) => status === 409, { status: 200, call: 'logs' }),
  ],
  [
    'a report with another fence that was accepted',
    'stale-fence',
    () => changed('call', ({ leaseId }) => leaseId === 'lease_2', { fence: 1 }),
  ],
  [
    'a report about a try that does not exist',
    'stale-fence',
    () => [...goodHistory(), call('lease_9', 9, 'ended', start, 200)],
  ],
  [
    'two tries that succeeded',
    'result',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_1', { endReason: 'exited-zero' }),
  ],
  [
    'another end than the program had',
    'result',
    () => changed('job', ({ jobId }) => jobId === 'job_b', { state: 'succeeded' }),
  ],
  ['another exit code', 'result', () => changed('job', ({ jobId }) => jobId === 'job_b', { exitCode: 4 })],
  ['a lost line', 'result', () => changed('output', ({ jobId }) => jobId === 'job_a', { stdout: 'one\n' })],
  [
    'a doubled line',
    'result',
    () => changed('output', ({ jobId }) => jobId === 'job_a', { stdout: 'one\none\ntwo\n' }),
  ],
  ['a lost file', 'result', () => without('file')],
  [
    'a doubled file',
    'result',
    () => goodHistory().flatMap((line): HistoryLine[] => (line.kind === 'file' ? [line, line] : [line])),
  ],
  ['a file of the try that was lost', 'result', () => changed('file', () => true, { attempt: 1 })],
  ['a spoilt file', 'result', () => changed('file', () => true, { sha256: 'abd' })],
  [
    'a file that was spoilt in the store',
    'result',
    () => changed('file', () => true, { downloadedSha256: 'abd' }),
  ],
  [
    'a file that nobody wrote',
    'result',
    () =>
      goodHistory().flatMap((line): HistoryLine[] =>
        line.kind === 'file' ? [line, { ...line, path: 'other' }] : [line],
      ),
  ],
  [
    'a bill for more than the meter',
    'bill',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_3', { billedMs: 1_500, costMicros: '15000' }),
  ],
  [
    'a bill for a try that was lost',
    'bill',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_1', { billedMs: 4_800, costMicros: '48000' }),
  ],
  [
    'a bill that is not rate times time',
    'bill',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_3', { costMicros: '10001' }),
  ],
  [
    'an owner who earns more than is paid',
    'bill',
    () => changed('lease', ({ leaseId }) => leaseId === 'lease_3', { earnedMicros: '10001' }),
  ],
  [
    'a job that was never settled',
    'settle-once',
    () => changed('payment', ({ jobId }) => jobId === 'job_b', { state: 'pending' }),
  ],
  [
    'a try that was paid twice',
    'settle-once',
    () => [...goodHistory(), transfer('earn', 'earn:again', 'held', 'owner', 9_500n, 'job_b', 'lease_3')],
  ],
  [
    'a rest that was given back twice',
    'settle-once',
    () => [...goodHistory(), transfer('release', 'release:again', 'held', 'renter', 90_000n, 'job_b')],
  ],
  [
    'a hold that was placed twice',
    'settle-once',
    () => [...goodHistory(), transfer('hold', 'hold:again', 'renter', 'held', 100_000n, 'job_b')],
  ],
  [
    'a payment that is not the cost',
    'settle-once',
    () => changed('payment', ({ jobId }) => jobId === 'job_b', { amountMicros: '9999' }),
  ],
  [
    'a cost that is not the sum of the tries',
    'settle-once',
    () => changed('job', ({ jobId }) => jobId === 'job_b', { costMicros: '9999' }),
  ],
  ['a job without a payment', 'settle-once', () => without('payment', ({ jobId }) => jobId === 'job_b')],
  [
    'money that is still held',
    'books',
    () => changed('account', ({ id }) => id === 'held', { debitsMicros: '199999' }),
  ],
  [
    'a balance that is not the sum of its transfers',
    'books',
    () => changed('account', ({ id }) => id === 'renter', { creditsMicros: '1180001' }),
  ],
  [
    'an account that owes',
    'books',
    () => changed('account', ({ id }) => id === 'fees', { debitsMicros: '2000' }),
  ],
  [
    'a transfer of nothing',
    'books',
    () => changed('transfer', ({ id }) => id === 'grant:1', { amountMicros: '0' }),
  ],
  [
    'a container that nobody removed',
    'nothing-left',
    () => [...goodHistory(), { kind: 'left-over', what: 'container 123' }],
  ],
];

describe('the history checker', () => {
  test('finds nothing wrong with a good history', () => {
    expect(checkHistory(goodHistory())).toEqual([]);
  });

  test.each(broken)('finds %s (%s)', (_what, rule, history) => {
    expect(checkHistory(history()).map((violation) => violation.rule)).toContain(rule);
  });

  test('has a bad history for every rule', () => {
    expect(new Set(broken.map(([, rule]) => rule))).toEqual(new Set(Object.keys(rules)));
  });

  test('lets a try that ended by itself repeat its last report, also when the job runs elsewhere by then', () => {
    const lines = changed('lease', ({ leaseId }) => leaseId === 'lease_1', {
      state: 'released',
      endReason: 'provider-left',
    });
    expect(checkHistory([...lines, call('lease_1', 1, 'ended', start + 5_600, 200)])).toEqual([]);
  });

  test('takes a silent machine for replaced from the moment on at which it was called silent', () => {
    const lines = changed('lease', ({ leaseId }) => leaseId === 'lease_1', {
      silentAt: start + 4_000,
      endedAt: start + 7_000,
      exitedAt: start + 7_000,
    });
    expect(checkHistory(lines)).toEqual([]);
  });
});
