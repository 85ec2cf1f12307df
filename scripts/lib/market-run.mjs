import { relative, resolve } from 'node:path';
import { writeDevEnv } from './dev-env.mjs';
import { createMarketApi } from './market-api.mjs';
import { dashboardUrl, orchestratorUrl } from './market-programs.mjs';
import {
  buildPrograms,
  claimHome,
  findDocker,
  installPackages,
  startDashboard,
  startDashboardBuild,
  startDatabase,
  startOrchestrator,
  startProvider,
  stopDatabaseWithoutWaiting,
} from './market-steps.mjs';
import { rootDir } from './paths.mjs';
import { leaveOutSample, runSample } from './sample-step.mjs';
import { StartError } from './start-error.mjs';
import { createSupervisor } from './supervisor.mjs';

/**
 * One local market: starts every part in order, and stops them in the reverse one.
 *
 * @typedef {'always' | 'once' | 'never'} SampleWish Whether to run the sample job; `once`: unless it has
 *   succeeded in this home before.
 *
 * @typedef {object} MarketContext What every step gets.
 * @property {string} home Absolute path.
 * @property {import('./progress.mjs').Progress} progress
 * @property {AbortSignal} signal Aborts when the person asks to stop, or when a step has failed.
 * @property {boolean} demo
 * @property {SampleWish} sample
 * @property {ReturnType<typeof createSupervisor>} supervisor
 * @property {(path: string) => string} shown A path as the person would type it.
 * @property {(what: string, undo: () => Promise<string | undefined | void>) => void} onStop Registers
 *   how to undo what was just started; `undo` may return a sentence to tell.
 * @property {() => void} stopHereWhenAsked Throws when the person has asked to stop.
 *
 * @param {object} options
 * @param {import('./progress.mjs').Progress} options.progress Of nine steps.
 * @param {AbortSignal} options.signal Aborts when the person asks to stop.
 * @param {boolean} options.demo A demo without Docker or dashboard has failed; a start goes on.
 * @param {SampleWish} options.sample
 */
export function createMarketRun({ progress, signal, demo, sample }) {
  const home = resolve(process.env.COMPUTEFABRIC_HOME || `${rootDir}/.computefabric`);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  /** @type {{ what: string, undo: () => Promise<string | undefined | void> }[]} Oldest first. */
  const started = [];
  /** @type {MarketContext} */
  const context = {
    home,
    progress,
    signal: either,
    demo,
    sample,
    supervisor: createSupervisor({ home, cwd: rootDir, line: progress.line, signal: either }),
    shown: (path) => relative(process.cwd(), path) || '.',
    onStop: (what, undo) => started.push({ what, undo }),
    stopHereWhenAsked: () => {
      if (signal.aborted) throw new StartError('stopped');
    },
  };

  return { start, stop, kill };

  /** @returns {Promise<{ sampleSucceeded: boolean }>} @throws {StartError} */
  async function start() {
    const ports = await claimHome(context);
    await installPackages(context);
    await buildPrograms(context);
    const dashboardBuild = startDashboardBuild(context);
    const databaseUrl = await startDatabase(context);
    const engine = await findDocker(context);

    const operatorToken = writeDevEnv(`${home}/dev.env`, `http://127.0.0.1:${ports.orchestratorPort}`);
    const market = { home, ...ports, databaseUrl, operatorToken };
    const api = createMarketApi(orchestratorUrl(market), operatorToken);
    await startOrchestrator(context, market);
    let sampleSucceeded = false;
    if (engine === undefined) {
      progress.begin('Starting a provider').skip('left out: no Docker');
      leaveOutSample(context, 'no Docker');
    } else {
      await startProvider(context, market, api, engine.host);
      sampleSucceeded = await runSample(context, market, api, engine.host);
    }
    const hasDashboard = await startDashboard(context, market, dashboardBuild);
    sayWhereThingsAre(market, hasDashboard, engine !== undefined);
    return { sampleSucceeded };
  }

  /** @param {import('./market-programs.mjs').Market} market @param {boolean} hasDashboard @param {boolean} hasProvider */
  function sayWhereThingsAre(market, hasDashboard, hasProvider) {
    progress.line();
    if (hasDashboard) progress.line(` Dashboard      ${dashboardUrl(market)}`);
    progress.line(` API            ${orchestratorUrl(market)}   docs ${orchestratorUrl(market)}/docs`);
    progress.line(` Command line   source ${context.shown(`${home}/dev.env`)}   then: npx cfab status`);
    progress.line(` Logs           ${context.shown(`${home}/logs`)}/`);
    if (!hasProvider) progress.line(' Provider       none: jobs wait until a machine joins');
    if (!demo) progress.line('\n Ctrl-C stops everything; your data stays.');
  }

  /** For a person who does not want to wait: SIGKILL, and no look back. */
  function kill() {
    context.supervisor.killAll();
    // The database server is no child of ours; it stops by itself while we are already gone.
    if (started.some(({ what }) => what === 'database')) stopDatabaseWithoutWaiting(home);
  }

  /** Stops everything that was started, newest first, and says what did not go well. */
  async function stop() {
    ended.abort();
    const names = started.map(({ what }) => what).filter((what) => !hidden.has(what));
    const step = names.length === 0 ? undefined : progress.begin('Stopping', { numbered: false });
    // The provider first, whatever came later: it hands back its jobs while the orchestrator listens.
    const order = [
      ...started.filter(({ what }) => what === 'provider'),
      ...started.filter(({ what }) => what !== 'provider').toReversed(),
    ];
    for (const { what, undo } of order) {
      step?.detail(what);
      try {
        const news = await undo();
        if (news) step?.note(news);
      } catch (error) {
        step?.note(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    started.length = 0;
    step?.done(names.toReversed().join(', '));
  }
}

/** Undone like the rest, but no program that a person would miss. */
const hidden = new Set(['lock', 'dashboard build']);
