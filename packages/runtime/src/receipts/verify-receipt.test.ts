import { canonicalJson } from '@computefabric/protocol/receipts/canonical-json';
import type { SignedJobReceipt } from '@computefabric/protocol/receipts/receipt';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { sealReceipt } from './seal-receipt.ts';
import { isSignedBy, keyIdOf, newPrivateKey, signerOf } from './signatures.ts';
import { sampleReceipt } from './testing/sample-receipt.ts';
import { verifyReceipt, verifyReceiptText } from './verify-receipt.ts';

const market = signerOf(newPrivateKey());
const agent = signerOf(newPrivateKey());
const keys = new Map([[market.keyId, market.publicKey]]);
let signed: SignedJobReceipt;
let text: string;

beforeAll(async () => {
  signed = await sealReceipt(await sampleReceipt(market, agent), market);
  text = canonicalJson(signed);
});

/** The receipt with one value set, by its path. */
function changed(path: string, to: unknown): unknown {
  const copy = structuredClone(signed) as unknown;
  const parts = path.split(/[.[\]]+/).filter((part) => part !== '');
  const last = parts.pop() ?? '';
  const holder = parts.reduce((value, part) => (value as Record<string, unknown>)[part], copy);
  (holder as Record<string, unknown>)[last] = to;
  return copy;
}

test('a receipt as it was signed has no problems, in whatever layout its JSON is', () => {
  expect(verifyReceiptText(text, keys)).toMatchObject({ problems: [] });
  expect(verifyReceiptText(JSON.stringify(signed, null, 2), keys).problems).toEqual([]);
});

test('what a newer market adds is covered by the signature too', async () => {
  const newer = await sealReceipt({ ...signed.receipt, carbon_grams: 12 }, market);
  expect(verifyReceipt(newer, keys).problems).toEqual([]);
  const problems = verifyReceipt(
    { ...newer, receipt: { ...newer.receipt, carbon_grams: 11 } },
    keys,
  ).problems;
  expect(problems.map(({ path }) => path)).toEqual(['carbon_grams', 'signature.value']);
});

test('whichever byte of a receipt is changed to whatever, it does not stand', () => {
  const bytes = Buffer.from(text);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (place, difference) => {
      const copy = Buffer.from(bytes);
      copy[place] = ((copy[place] ?? 0) + difference) % 256;
      const { problems } = verifyReceiptText(copy.toString('utf8'), keys);
      // JSON may spell the same value in another way, such as 1E5 for 1e5: the receipt says the same then.
      if (problems.length === 0) expect(canonicalJson(JSON.parse(copy.toString('utf8')))).toBe(text);
    }),
    { numRuns: 1_000 },
  );
});

test('whichever digit of a receipt is changed, its place is named', () => {
  const leaves = Object.keys(signed.fingerprints).filter((path) => !path.includes('intervals'));
  expect(leaves.length).toBeGreaterThan(100);
  for (const path of leaves) {
    const value = path
      .split(/[.[\]]+/)
      .filter((part) => part !== '')
      .reduce((inner: unknown, part) => (inner as Record<string, unknown>)[part], signed.receipt);
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    const digits = String(value).replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10));
    if (digits === String(value)) continue;
    const to = typeof value === 'number' ? Number(digits) : digits;
    const { problems } = verifyReceipt(changed(`receipt.${path}`, to), keys);
    expect(
      problems.map((problem) => problem.path),
      `${path} set to ${to}`,
    ).toContain(path);
  }
});

test.each([
  ['receipt.tries[1].intervals[0].metered_ms', 59_999],
  ['receipt.tries[1].intervals[0].to', '2026-01-02T03:05:09.000Z'],
  ['receipt.tries[1].intervals[0].prev', 'f'.repeat(64)],
  ['receipt.tries[1].intervals[0].signature', `${'A'.repeat(86)}==`],
  ['receipt.tries[1].intervals[0].agent_signature', `${'A'.repeat(86)}==`],
  ['receipt.tries[1].intervals[0].agent_signature', null],
])('a metering record in which %s is changed is named', (path, to) => {
  const paths = verifyReceipt(changed(path, to), keys).problems.map((problem) => problem.path);
  expect(paths).toContain('tries[1].intervals[0]');
});

test('a market that signs wrong sums is found out: its signature is no proof of them', async () => {
  const receipt = structuredClone(signed.receipt);
  const [, ran] = receipt.tries;
  if (!ran) throw new Error('the sample has two tries');
  ran.billed_ms += 1_000;
  const { problems } = verifyReceipt(await sealReceipt(receipt, market), keys);
  expect(problems.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['tries[1].cost_micros', 'tries[1].free_ms', 'tries[1].billed_ms', 'billed_ms']),
  );
});

test('a receipt that somebody else signed does not stand, whatever key id it names', async () => {
  const forger = signerOf(newPrivateKey());
  const forged = await sealReceipt(await sampleReceipt(forger, agent), forger);
  expect(verifyReceipt(forged, keys).problems.map(({ path }) => path)).toContain('signature.key');
  const named = { ...forged, signature: { ...forged.signature, key: market.keyId } };
  expect(verifyReceipt(named, keys).problems.map(({ path }) => path)).toContain('signature.value');
  const swapped = new Map([[market.keyId, forger.publicKey]]);
  expect(verifyReceipt(named, swapped).problems.map(({ path }) => path)).toContain('signature.key');
});

test('without the signature of a machine a receipt stands, and says so', async () => {
  const receipt = structuredClone(signed.receipt);
  for (const one of receipt.tries)
    one.intervals = one.intervals.map((record) => ({ ...record, agent_key: null, agent_signature: null }));
  const { problems, notes } = verifyReceipt(await sealReceipt(receipt, market), keys);
  expect(problems).toEqual([]);
  expect(notes).toHaveLength(2);
});

test('one signature has one text', async () => {
  const value = await market.sign('x');
  expect(isSignedBy(market.publicKey, 'x', value)).toBe(true);
  // The last character of a base64 text of 64 bytes has four bits that say nothing.
  const same = value.replace(/.==$/, (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}==`);
  expect(Buffer.from(same, 'base64').equals(Buffer.from(value, 'base64'))).toBe(true);
  expect(isSignedBy(market.publicKey, 'x', same)).toBe(false);
  expect(isSignedBy('bm8ga2V5', 'x', value)).toBe(false);
  expect(keyIdOf(market.publicKey)).toBe(market.keyId);
});
