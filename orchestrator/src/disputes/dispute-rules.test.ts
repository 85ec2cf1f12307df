import { newId } from '@computefabric/protocol/ids';
import { expect, test } from 'vitest';
import { type DisputedTry, type DisputeFacts, ruleOn } from './dispute-rules.ts';

const one: DisputedTry = {
  leaseId: newId('lease'),
  providerId: newId('provider'),
  endReason: 'exited-nonzero',
  exitCode: 1,
  billedMs: 1_000,
  costMicros: 100n,
  machineSuspended: false,
  otherRentersSpoiled: 0,
  othersSpoiled: 0,
};
const facts = (change: Partial<DisputedTry> = {}, damagedResults: string[] = []): DisputeFacts => ({
  jobId: newId('job'),
  endReason: 'exited-nonzero',
  tries: [{ ...one, ...change }],
  damagedResults,
});

test.each([
  ['nothing in the records', facts(), null],
  ['a bill for a try that is free', facts({ endReason: 'provider-lost' }), 'billed-despite-fault'],
  ['a moved try that its checkpoint saved', facts({ endReason: 'provider-left' }), null],
  ['a result that is stored otherwise than it came', facts({}, ['model.json']), 'result-damaged'],
  ['a machine that was suspended since', facts({ machineSuspended: true }), 'machine-suspended'],
  [
    'a machine that failed two others',
    facts({ othersSpoiled: 2, otherRentersSpoiled: 2 }),
    'machine-failed-others',
  ],
  ['one other renter, twice', facts({ othersSpoiled: 2, otherRentersSpoiled: 1 }), null],
  [
    'a program that succeeded on it',
    facts({ othersSpoiled: 9, otherRentersSpoiled: 9, endReason: 'exited-zero' }),
    null,
  ],
  ['a try that cost nothing', facts({ endReason: 'provider-lost', costMicros: 0n }), null],
] as const)('%s', (_what, given, rule) => {
  expect(ruleOn(given, 'machine-failed')?.rule ?? null).toBe(rule);
});

test('what a machine did to others says nothing of a bill', () => {
  expect(ruleOn(facts({ othersSpoiled: 2, otherRentersSpoiled: 2 }), 'wrong-bill')).toBeNull();
});

test('only the tries that a rule speaks of are given back, and damage that is ours is not the owner’s', () => {
  const good = { ...one, leaseId: newId('lease') };
  const bad = { ...one, leaseId: newId('lease'), machineSuspended: true };
  const given: DisputeFacts = { ...facts(), tries: [good, bad] };
  expect(ruleOn(given, 'other')).toMatchObject({ leaseIds: [bad.leaseId], blame: 'provider' });
  expect(ruleOn({ ...given, damagedResults: ['x'] }, 'other')).toMatchObject({ blame: 'platform' });
});
