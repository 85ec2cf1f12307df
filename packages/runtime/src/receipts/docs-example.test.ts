import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { sealReceipt } from './seal-receipt.ts';
import { newPrivateKey, signerOf } from './signatures.ts';
import { sampleReceipt } from './testing/sample-receipt.ts';

const page = fileURLToPath(new URL('../../../../docs/receipts.md', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'cf-receipt-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the code of docs/receipts.md tells a receipt of the market from a changed one', async () => {
  const code = /^```js\n([\s\S]*?)^```/m.exec(await readFile(page, 'utf8'))?.[1];
  if (code === undefined) throw new Error('the page has a block of code');
  const market = signerOf(newPrivateKey());
  const signed = await sealReceipt(await sampleReceipt(market, signerOf(newPrivateKey())), market);
  const write = async (name: string, content: string) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  const script = await write('verify.mjs', code);
  const keys = await write(
    'keys.json',
    JSON.stringify({ keys: [{ key: market.keyId, public_key: market.publicKey }] }),
  );
  const run = async (receipt: string) => {
    const path = await write('receipt.json', receipt);
    return await promisify(execFile)(process.execPath, [script, path, keys]).then(
      ({ stdout }) => stdout.trim(),
      (thrown: { stdout: string }) => thrown.stdout.trim(),
    );
  };
  const text = JSON.stringify(signed, null, 2);
  expect(await run(text)).toBe('signed by the market');
  expect(await run(text.replace('"9000"', '"9001"'))).toBe('changed');
});
