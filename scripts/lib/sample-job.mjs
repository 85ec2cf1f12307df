import { mkdirSync, readFileSync } from 'node:fs';
import { rootDir } from './paths.mjs';
import { runCommand } from './run-command.mjs';

/**
 * Sends the sample job through the real command line, follows it, fetches its result and reads its
 * bill from the ledger: what a renter does, with nothing simulated but the GPU.
 *
 * @param {object} options
 * @param {string} options.image
 * @param {string} options.url Of the orchestrator.
 * @param {string} options.token
 * @param {string} options.outputDir Where the result file goes.
 * @param {string} options.noteFile Names the running command, see runCommand.
 * @param {import('./market-api.mjs').MarketApi} options.api
 * @param {(text?: string) => void} options.line
 * @param {AbortSignal} options.signal
 * @returns {Promise<{ ok: true, name: string } | { ok: false, reason: string }>} `ok` when the job
 *   succeeded, its result is here and its bill is settled.
 */
export async function runSampleJob({ image, url, token, outputDir, noteFile, api, line, signal }) {
  const name = `train-network-${Date.now().toString(36)}`;
  const source = readFileSync(`${rootDir}/examples/train-network/train.mjs`, 'utf8');
  const before = await api.balance();

  /** @param {string[]} args @param {number} deadlineSeconds @param {'inherit' | 'pipe'} output */
  const cfab = (args, deadlineSeconds, output) =>
    runCommand(process.execPath, [`${rootDir}/client/cli/bin/cfab.mjs`, ...args], {
      env: { COMPUTEFABRIC_URL: url, COMPUTEFABRIC_TOKEN: token },
      deadlineSeconds,
      output,
      noteFile,
      signal,
    });

  line(
    ` $ cfab submit --yes --gpus 1 --network none --image ${image} --name ${name} -- node … examples/train-network/train.mjs`,
  );
  const program = ['node', '--input-type=module', '-e', source];
  const submitted = await cfab(
    [
      'submit',
      '--yes',
      '--gpus',
      '1',
      '--network',
      'none',
      '--image',
      image,
      '--name',
      name,
      '--',
      ...program,
    ],
    180,
    'inherit',
  );
  if (signal.aborted) return { ok: false, reason: 'stopped' };
  if (!submitted.ok) return { ok: false, reason: `cfab submit ended with exit code ${submitted.code}` };

  const waited = await cfab(['wait', name, '--json', '--timeout', '60s'], 90, 'pipe');
  if (!waited.ok)
    return { ok: false, reason: `cfab wait ended with exit code ${waited.code}: ${waited.tail}` };
  /** @type {import('./market-api.mjs').JobAnswer} */
  const job = JSON.parse(waited.stdout);
  if (job.state !== 'succeeded') return { ok: false, reason: `the sample job ended as ${job.state}` };

  mkdirSync(outputDir, { recursive: true });
  const fetched = await cfab(['artifacts', name, '--download', outputDir, '--force'], 60, 'pipe');
  if (!fetched.ok) return { ok: false, reason: `cfab artifacts failed: ${fetched.tail}` };
  const model = JSON.parse(readFileSync(`${outputDir}/model.json`, 'utf8'));
  const accuracy = `${(100 * Number(model.accuracy)).toFixed(1)} %`;
  line();
  line(` Result   accuracy ${accuracy} after ${model.epochs} epochs · ${outputDir}/model.json`);

  const settled = await waitForSettlement(api, name, signal);
  if (settled === undefined) return { ok: false, reason: 'the bill was not settled within 20 s' };
  printBill(settled, before, await api.balance(), line);
  return { ok: true, name };
}

/**
 * @param {import('./market-api.mjs').MarketApi} api @param {string} name @param {AbortSignal} signal
 * @returns {Promise<import('./market-api.mjs').JobAnswer | undefined>}
 */
async function waitForSettlement(api, name, signal) {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline && !signal.aborted) {
    const job = await api.job(name);
    if (job.cost.payment_state === 'succeeded') return job;
    if (job.cost.payment_state === 'failed') return undefined;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return undefined;
}

/** @typedef {{ available_micros: string, held_micros: string }} Balance */

/**
 * @param {import('./market-api.mjs').JobAnswer} job
 * @param {Balance} before @param {Balance} after
 * @param {(text?: string) => void} line
 */
function printBill({ cost, leases }, before, after, line) {
  const { currency } = cost;
  const play = cost.play_money ? ' of play money (nobody is charged)' : '';
  for (const [
    index,
    { billed_ms: milliseconds, price_per_hour_micros: price, cost_micros: total },
  ] of leases.entries()) {
    const calculation = `${(milliseconds / 1000).toFixed(3)} s × ${money(price, currency)}/h = ${money(total, currency)}`;
    line(` ${index === 0 ? 'Bill    ' : '        '} ${calculation}`);
  }
  line(` Paid     ${money(cost.accrued_micros, currency)}${play}, settled`);
  line(` Balance  ${money(sum(before), currency)} before, ${money(sum(after), currency)} after`);
}

/** What the account owns: money that a job holds is still its own. @param {Balance} balance */
function sum({ available_micros: available, held_micros: held }) {
  return String(BigInt(available) + BigInt(held));
}

/**
 * `$0.000770`: all six digits, because a sample job costs less than a cent.
 * @param {string} micros @param {string} currency
 */
function money(micros, currency) {
  const amount = BigInt(micros);
  const digits = String(amount < 0n ? -amount : amount).padStart(7, '0');
  const symbol = currency.toUpperCase() === 'USD' ? '$' : `${currency.toUpperCase()} `;
  return `${amount < 0n ? '-' : ''}${symbol}${digits.slice(0, -6)}.${digits.slice(-6)}`;
}
