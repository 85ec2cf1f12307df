import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sampleEndedJob } from '@computefabric/api-client/testing/sample-data';
import type { MarketKey, SignedJobReceipt } from '@computefabric/protocol/receipts/receipt';
import { getJob } from '@computefabric/protocol/user-api/jobs';
import { getReceipt, listMarketKeys } from '@computefabric/protocol/user-api/receipts';
import { endorsementText, sealReceipt } from '@computefabric/runtime/receipts/seal-receipt';
import { newPrivateKey, type Signer, signerOf } from '@computefabric/runtime/receipts/signatures';
import { sampleReceipt } from '@computefabric/runtime/receipts/testing/sample-receipt';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { onlyJson, Workbench } from '../testing/run-cfab.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
let signer: Signer;
let signed: SignedJobReceipt;
beforeEach(async () => {
  bench = await Workbench.open();
  signer = signerOf(newPrivateKey());
  signed = await sealReceipt(await sampleReceipt(signer, signerOf(newPrivateKey())), signer);
  serve(signed, [published(signer)]);
});
afterEach(() => bench.close());

function published({ keyId, publicKey }: Signer): MarketKey {
  return {
    key: keyId,
    algorithm: 'ed25519',
    public_key: publicKey,
    created_at: '2026-01-01T00:00:00.000Z',
    endorsed_by: null,
    endorsement: null,
  };
}

function serve(receipt: SignedJobReceipt, keys: MarketKey[]): void {
  bench.market
    .on(getJob, () => sampleEndedJob(0, { id: receipt.receipt.job.id, name: 'train-7' }))
    .on(getReceipt, () => receipt)
    .on(listMarketKeys, () => ({ keys }));
}

test('receipt shows tries, seconds, whose fault, price, hashes and the total', async () => {
  const { code, stdout } = await bench.run(['receipt', 'train-7']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/Receipt 1 of train-7/);
  expect(stdout).toMatch(/1\s+gärten-pc\s+5\.0 s\s+0\.0 s\s+5\.0 s .*provider-lost, the machine's fault/);
  expect(stdout).toMatch(/2\s+gärten-pc\s+90\.0 s\s+90\.0 s\s+0\.0 s\s+\$0\.36\/h\s+\$0\.009\s+exited-zero/);
  expect(stdout).toMatch(/total\s+\$0\.009 play money/);
  expect(stdout).toMatch(/GPU\s+NVIDIA GeForce RTX 4090\s+GPU-1/);
  expect(stdout).toContain('model.json');
});

test('a saved receipt is checked without the market, and a changed digit is named with exit code 1', async () => {
  const path = join(bench.home, 'receipt.json');
  const online = await bench.run(['receipt', 'train-7', '--verify', '--save', path]);
  expect([online.code, online.stdout.includes(`signed by ${signer.keyId}`)]).toEqual([0, true]);
  const away = { env: { COMPUTEFABRIC_URL: bench.market.url, COMPUTEFABRIC_TOKEN: undefined } };
  const asked = bench.market.requests.length;
  const offline = await bench.run(['receipt', '--file', path, '--verify'], away);
  expect([offline.code, offline.stderr]).toEqual([0, expect.not.stringContaining('error')]);
  await writeFile(
    path,
    (await readFile(path, 'utf8')).replace('"cost_micros": "9000"', '"cost_micros": "8000"'),
  );
  const changed = await bench.run(['receipt', '--file', path, '--verify'], away);
  expect(changed.code).toBe(1);
  expect(changed.stderr).toContain('cli/receipt-changed');
  expect(changed.stderr).toMatch(/cost_micros\s+was changed: it does not fit its fingerprint/);
  const json = await bench.run(['receipt', '--file', path, '--verify', '--json'], away);
  expect(json.code).toBe(1);
  expect(json.stderr + json.stdout).toContain('"path":"cost_micros"');
  expect(bench.market.requests).toHaveLength(asked);
});

test('keys may be given as a file, and then nobody is asked', async () => {
  const [receipt, keys, others] = ['r.json', 'k.json', 'o.json'].map((name) => join(bench.home, name));
  if (!receipt || !keys || !others) throw new Error('three names');
  await bench.run(['receipt', 'train-7', '--save', receipt]);
  await writeFile(keys, JSON.stringify({ keys: [published(signer)] }));
  await writeFile(others, JSON.stringify({ keys: [published(signerOf(newPrivateKey()))] }));
  const right = await bench.run(['receipt', '--file', receipt, '--verify', '--keys', keys, '--json']);
  expect(onlyJson(right.stdout)).toMatchObject({ verified: true, receipt: { total_micros: '9000' } });
  const wrong = await bench.run(['receipt', '--file', receipt, '--verify', '--keys', others]);
  expect([wrong.code, wrong.stderr.includes('is no known key of this market')]).toEqual([1, true]);
});

test('a market that is known by its key is not believed another one, unless the known key vouches for it', async () => {
  expect((await bench.run(['receipt', 'train-7', '--verify'])).code).toBe(0);
  const next = signerOf(newPrivateKey());
  const other = await sealReceipt(await sampleReceipt(next, signerOf(newPrivateKey())), next);
  serve(other, [published(signer), published(next)]);
  const taken = await bench.run(['receipt', 'train-7', '--verify']);
  expect([taken.code, taken.stderr.includes('is no known key of this market')]).toEqual([1, true]);
  const key = published(next);
  const endorsement = await signer.sign(endorsementText(key));
  serve(other, [published(signer), { ...key, endorsed_by: signer.keyId, endorsement }]);
  expect((await bench.run(['receipt', 'train-7', '--verify'])).code).toBe(0);
});
