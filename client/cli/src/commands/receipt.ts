import { readFile, writeFile } from 'node:fs/promises';
import { UnreachableError } from '@computefabric/api-client/errors';
import { type MarketKey, type SignedReceipt, signedReceipt } from '@computefabric/protocol/receipts/receipt';
import { type Verification, verifyReceipt } from '@computefabric/runtime/receipts/verify-receipt';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { findTarget } from '../groups/find-target.ts';
import { byId, KnownKeys, readKeys } from '../receipts/known-keys.ts';
import { groupReceiptText, receiptText } from '../receipts/receipt-text.ts';
import { plainText } from '../terminal/plain-text.ts';

export interface ReceiptFlags {
  verify?: boolean;
  /** A receipt that was saved, instead of asking the market. */
  file?: string;
  /** Public keys to check it with, instead of those that the market is known by. */
  keys?: string;
  save?: string;
}

/**
 * `receipt JOB`: what a job or group cost and why, signed by the market. With --verify its signature, its sums and
 * its metering are checked on this machine.
 */
export async function showReceipt(
  cli: Cli,
  reference: string | undefined,
  flags: ReceiptFlags,
): Promise<number> {
  if ((reference === undefined) === (flags.file === undefined)) {
    throw usageError('give either a job or --file', `such as ${cli.program} receipt mnist-7k2`);
  }
  const input =
    flags.file === undefined ? await fetchReceipt(cli, reference ?? '') : await readReceipt(flags.file);
  const checked = flags.verify ? await check(cli, input, flags) : null;
  if (checked && checked.problems.length > 0) throw changedError(checked);
  const signed = signedReceipt.parse(input);
  if (flags.save !== undefined) await writeFile(flags.save, `${JSON.stringify(signed, null, 2)}\n`);
  if (cli.json) {
    cli.printJson({ ...signed, ...(checked ? { verified: true, notes: checked.notes } : {}) });
    return exitCode('ok');
  }
  const { receipt } = signed;
  const lines = receipt.type === 'computefabric-receipt/1' ? receiptText(receipt) : groupReceiptText(receipt);
  for (const line of lines) cli.print(line);
  if (checked) {
    cli.print(`verified: signed by ${signed.signature.key}, and every sum is right`);
    for (const note of checked.notes) cli.say(`note: ${note}`);
  } else {
    cli.say(`  check it   ${cli.program} receipt ${reference ?? `--file ${flags.file}`} --verify`);
  }
  return exitCode('ok');
}

async function fetchReceipt(cli: Cli, reference: string): Promise<SignedReceipt> {
  const client = await cli.client();
  const target = await findTarget(cli, client, reference);
  return target.kind === 'job'
    ? await client.receipts.get(target.job.id)
    : await client.receipts.group(target.group.id);
}

async function readReceipt(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    throw new CliError({
      code: 'cli/file',
      message: `${path} cannot be read`,
      exit: 'error',
      cause: thrown,
    });
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new CliError({ code: 'cli/file', message: `${path} is not JSON`, exit: 'error' });
  }
}

/** With the keys given, or known; only a market or a key that is not known is asked for. */
async function check(cli: Cli, input: unknown, flags: ReceiptFlags): Promise<Verification> {
  if (flags.keys !== undefined) return verifyReceipt(input, byId(await readKeys(flags.keys)));
  const settings = await cli.settings();
  const known = new KnownKeys(settings.configFile);
  const url = settings.url.value;
  const keys = await known.of(url);
  const checked = verifyReceipt(input, byId(keys));
  const signedWith = signedReceipt.safeParse(input).data?.signature.key;
  if (signedWith === undefined || keys.some(({ key }) => key === signedWith)) return checked;
  let shown: readonly MarketKey[];
  try {
    shown = await askForKeys(cli, url);
  } catch (thrown) {
    // Away from the market it can still be said that no known key has signed this.
    if (thrown instanceof UnreachableError && keys.length > 0) return checked;
    throw thrown;
  }
  const learned = await known.learn(url, shown);
  if (keys.length === 0) {
    cli.say(`note: these are the first keys of ${url} that this program sees; it will know them again`);
  }
  return verifyReceipt(input, byId(learned));
}

async function askForKeys(cli: Cli, url: string): Promise<readonly MarketKey[]> {
  const { token } = await cli.settings();
  return (await cli.clientFor(url, () => token?.value.reveal() ?? '').receipts.keys()).keys;
}

function changedError({ problems }: Verification): CliError {
  return new CliError({
    code: 'cli/receipt-changed',
    message: 'the receipt is not what the market signed, or its sums are wrong',
    facts: problems
      .slice(0, 20)
      .map(({ path, message }) => [plainText(path) || 'receipt', plainText(message)] as const),
    help: ['fetch it again from the market and compare the two'],
    exit: 'error',
    retry: 'never',
    details: { problems },
  });
}
