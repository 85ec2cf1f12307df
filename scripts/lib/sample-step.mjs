import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { orchestratorUrl } from './market-programs.mjs';
import { ensureSampleImage } from './sample-image.mjs';
import { runSampleJob } from './sample-job.mjs';
import { runFileOf } from './supervisor.mjs';

/**
 * Two steps of `npm start`: the image for the sample job, and the job itself.
 *
 * @param {import('./market-run.mjs').MarketContext} context
 * @param {import('./market-programs.mjs').Market} market
 * @param {import('./market-api.mjs').MarketApi} api
 * @param {string} engineHost
 * @returns {Promise<boolean>} Whether the sample job succeeded and is paid.
 */
export async function runSample(context, market, api, engineHost) {
  const { home, progress, signal, sample } = context;
  context.stopHereWhenAsked();
  const outputDir = `${home}/sample`;
  const doneFile = `${outputDir}/succeeded`;
  if (sample === 'never') return leaveOutSample(context, 'not asked for');
  if (sample === 'once' && existsSync(doneFile))
    return leaveOutSample(context, 'it has succeeded here before');

  const step = progress.begin('Preparing the sample image');
  const image = await ensureSampleImage({ engineHost, step, signal });
  context.stopHereWhenAsked();
  if (!image.ok) {
    step.fail(image.reason);
    progress.begin('Running the sample job').skip('left out: no image');
    return false;
  }
  step.done(`${image.image}, ${image.how}`);

  const job = progress.begin('Running the sample job');
  progress.pause(); // The command line shows what happens.
  mkdirSync(outputDir, { recursive: true });
  const outcome = await runSampleJob({
    image: image.image,
    url: orchestratorUrl(market),
    token: market.operatorToken,
    outputDir: context.shown(outputDir),
    noteFile: runFileOf(home, 'sample-job'),
    api,
    line: progress.line,
    signal,
  });
  context.stopHereWhenAsked();
  if (outcome.ok) {
    writeFileSync(doneFile, `${outcome.name}\n`);
    job.done(outcome.name);
  } else {
    job.fail(outcome.reason);
    progress.line(`     logs: ${context.shown(`${home}/logs`)}`);
  }
  return outcome.ok;
}

/**
 * @param {import('./market-run.mjs').MarketContext} context
 * @param {string} reason
 * @returns {false}
 */
export function leaveOutSample({ progress }, reason) {
  for (const title of ['Preparing the sample image', 'Running the sample job']) {
    progress.begin(title).skip(`left out: ${reason}`);
  }
  return false;
}
