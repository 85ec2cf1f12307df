import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { writeDevEnv } from './dev-env.mjs';
import { ensureDockerEngine } from './docker-engine.mjs';
import { ensurePackages } from './install-packages.mjs';
import { endLeftovers } from './leftovers.mjs';
import { tryLock } from './lock-file.mjs';
import { createMarketApi } from './market-api.mjs';
import {
  dashboardProgram,
  dashboardUrl,
  orchestratorProgram,
  orchestratorUrl,
  providerHome,
  providerProgram,
} from './market-programs.mjs';
import { ensureDashboardBuild } from './next-build.mjs';
import { rootDir } from './paths.mjs';
import { describeTakenPorts, portFrom } from './ports.mjs';
import { runCommand } from './run-command.mjs';
import { ensureSampleImage } from './sample-image.mjs';
import { runSampleJob } from './sample-job.mjs';
import { StartError } from './start-error.mjs';
import { createSupervisor, logFileOf } from './supervisor.mjs';

/**
 * One local market: starts every part in order, and stops them in the reverse one.
 *
 * @param {object} options
 * @param {import('./progress.mjs').Progress} options.progress Of nine steps.
 * @param {AbortSignal} options.signal Aborts when the person asks to stop.
 * @param {boolean} options.demo A demo without Docker has nothing to show, so it ends there.
 * @param {'always' | 'once' | 'never'} options.sample Whether to run the sample job; `once`: unless it
 *   has succeeded in this home before.
 */
export function createMarketRun({ progress, signal, demo, sample }) {
  const home = resolve(process.env.COMPUTEFABRIC_HOME || `${rootDir}/.computefabric`);
  const shown = (/** @type {string} */ path) => relative(process.cwd(), path) || '.';
  /**
   * What was started, oldest first. `undo` returns a sentence when there is something to tell.
   * @type {{ what: string, undo: () => Promise<string | undefined | void> }[]}
   */
  const started = [];
  const supervisor = createSupervisor({ home, cwd: rootDir, line: progress.line, signal });

  return { start, stop, kill: () => supervisor.killAll() };

  /** @returns {Promise<{ sampleSucceeded: boolean }>} @throws {StartError} */
  async function start() {
    const ports = await claim();
    await installPackages();
    await buildPrograms();
    // In the background and at low priority: the sample job does not need it.
    const dashboardBuild = startDashboardBuild();
    const databaseUrl = await startDatabase();
    const engine = await findDocker();

    const operatorToken = writeDevEnv(`${home}/dev.env`, `http://127.0.0.1:${ports.orchestratorPort}`);
    const market = { home, ...ports, databaseUrl, operatorToken };
    const api = createMarketApi(orchestratorUrl(market), operatorToken);
    await startOrchestrator(market);
    let sampleSucceeded = false;
    if (engine === undefined) {
      for (const title of ['Starting a provider', 'Preparing the sample image', 'Running the sample job']) {
        progress.begin(title).warn('left out: no Docker');
      }
    } else {
      await startProvider(market, api, engine.host);
      sampleSucceeded = await runSample(market, api, engine.host);
    }
    await startDashboard(market, dashboardBuild);
    if (!signal.aborted) sayWhereThingsAre(market, engine !== undefined);
    return { sampleSucceeded };
  }

  /** Makes sure that this home and these ports are ours. */
  async function claim() {
    mkdirSync(home, { recursive: true });
    const lock = await tryLock(`${home}/start.lock`);
    if ('owner' in lock) {
      throw new StartError(
        `${shown(home)} is already running (pid ${lock.owner.pid}). ` +
          'A second copy needs a home and ports of its own: ' +
          'COMPUTEFABRIC_HOME=.computefabric/second PORT=3001 ORCHESTRATOR_PORT=4001 npm start',
      );
    }
    started.push({ what: 'lock', undo: lock.release });
    const ended = await endLeftovers(home);
    if (ended.length > 0) progress.line(` Ended what an earlier run left behind: ${ended.join(', ')}`);
    let ports;
    try {
      ports = {
        dashboardPort: portFrom('PORT', 3000),
        orchestratorPort: portFrom('ORCHESTRATOR_PORT', 4000),
      };
    } catch (error) {
      throw new StartError(error instanceof Error ? error.message : String(error));
    }
    const taken = await describeTakenPorts([
      { variable: 'ORCHESTRATOR_PORT', port: ports.orchestratorPort, what: 'orchestrator' },
      { variable: 'PORT', port: ports.dashboardPort, what: 'dashboard' },
    ]);
    if (taken !== undefined) throw new StartError(taken);
    return ports;
  }

  async function installPackages() {
    const step = progress.begin('Installing packages');
    const result = await ensurePackages({ step, signal });
    stopHereWhenAsked();
    if (!result.ok) {
      step.fail(result.reason);
      throw new StartError(`${result.reason}; run it by hand to see more: npm ci`, result.tail);
    }
    step.done(result.installed ? '' : 'already installed');
  }

  async function buildPrograms() {
    const step = progress.begin('Building the programs');
    // Loaded only now, because it needs esbuild.
    const { ensureBundles } = await import('../bundle.mjs');
    try {
      const built = await ensureBundles();
      step.done(built.length === 0 ? 'nothing has changed' : built.join(', '));
    } catch (error) {
      step.fail('esbuild failed');
      throw new StartError(
        'the programs do not build',
        error instanceof Error ? error.message : String(error),
      );
    }
  }

  function startDashboardBuild() {
    const build = { newest: '', result: ensureDashboardBuild({ onProgress, signal, niceness: 10 }) };
    /** @param {string} text */
    function onProgress(text) {
      build.newest = text;
    }
    // Looked at when the dashboard starts; until then a failure must not end the process.
    build.result.catch(ignore);
    started.push({ what: 'dashboard build', undo: () => build.result.then(ignore, ignore) });
    return build;
  }

  /** @returns {Promise<string>} The URL of the database. */
  async function startDatabase() {
    const step = progress.begin('Starting the database');
    if (process.env.DATABASE_URL) {
      step.done('yours, from DATABASE_URL');
      return process.env.DATABASE_URL;
    }
    const program = [`${rootDir}/db/dist/cli.mjs`];
    started.push({
      what: 'database',
      undo: async () => {
        const args = [...program, 'stop', '--home', home];
        const stopped = await runCommand(process.execPath, args, { deadlineSeconds: 30 });
        return stopped.ok ? undefined : `the database did not stop: ${stopped.tail}`;
      },
    });
    const result = await runCommand(process.execPath, [...program, 'start', '--home', home, '--json'], {
      deadlineSeconds: 120,
      onLine: (line) => step.detail(line.startsWith('{') ? '' : line),
      signal,
    });
    stopHereWhenAsked();
    if (!result.ok) {
      step.fail('it does not start');
      throw new StartError('the embedded database does not start', result.tail);
    }
    const { url, started: isNew } = JSON.parse(result.stdout);
    step.done(`embedded PostgreSQL${isNew ? '' : ', already running'}`);
    return url;
  }

  /** @returns {Promise<import('./docker-engine.mjs').AvailableEngine | undefined>} */
  async function findDocker() {
    const step = progress.begin('Finding Docker');
    const engine = await ensureDockerEngine({ step, signal });
    if (engine.available) {
      started.push({ what: 'Docker engine', undo: engine.stop });
      step.done(`engine ${engine.version}${engine.startedByUs ? ', started for this run' : ''}`);
      return engine;
    }
    stopHereWhenAsked();
    step.warn(engine.reason);
    step.note(`Jobs run in Docker. To get it, run:  ${engine.command}`);
    if (demo) throw new StartError(`the demo needs Docker: ${engine.reason}. Run:  ${engine.command}`);
    step.note('Going on without a provider.');
    return undefined;
  }

  /**
   * @param {import('./progress.mjs').Step} step
   * @param {import('./supervisor.mjs').Program} program
   */
  async function startProgram(step, program) {
    const { name } = program;
    started.push({
      what: name,
      undo: async () =>
        (await supervisor.stop(name)) === 'killed'
          ? `the ${name} did not stop by itself and was killed`
          : undefined,
    });
    const result = await supervisor.start(program, (text) => step.detail(text));
    stopHereWhenAsked();
    if (result.ok) return;
    step.fail(result.reason);
    throw new StartError(
      `the ${name} does not start; its log is ${shown(logFileOf(home, name))}`,
      result.tail,
    );
  }

  /** @param {import('./market-programs.mjs').Market} market */
  async function startOrchestrator(market) {
    const step = progress.begin('Starting the orchestrator');
    await startProgram(step, orchestratorProgram(market));
    step.done(orchestratorUrl(market));
  }

  /**
   * @param {import('./market-programs.mjs').Market} market
   * @param {import('./market-api.mjs').MarketApi} api
   * @param {string} dockerHost
   */
  async function startProvider(market, api, dockerHost) {
    const step = progress.begin('Starting a provider');
    const joinToken = existsSync(`${providerHome(market)}/credential.json`)
      ? undefined
      : await newJoinToken(market);
    const isReady = async () => (await api.machines()).some(({ state }) => state === 'online');
    await startProgram(step, providerProgram(market, { dockerHost, joinToken, isReady }));
    step.done();
  }

  /** @param {import('./market-programs.mjs').Market} market @returns {Promise<string>} */
  async function newJoinToken(market) {
    const result = await runCommand(
      process.execPath,
      [`${rootDir}/client/cli/bin/cfab.mjs`, 'machine', 'token', '--json'],
      {
        env: { COMPUTEFABRIC_URL: orchestratorUrl(market), COMPUTEFABRIC_TOKEN: market.operatorToken },
        deadlineSeconds: 30,
        signal,
      },
    );
    stopHereWhenAsked();
    if (!result.ok) throw new StartError('no join token for the provider (cfab machine token)', result.tail);
    return JSON.parse(result.stdout).token;
  }

  /**
   * @param {import('./market-programs.mjs').Market} market
   * @param {import('./market-api.mjs').MarketApi} api
   * @param {string} engineHost
   * @returns {Promise<boolean>} Whether the sample job succeeded and is paid.
   */
  async function runSample(market, api, engineHost) {
    stopHereWhenAsked();
    const step = progress.begin('Preparing the sample image');
    const doneFile = `${home}/sample/succeeded`;
    if (sample === 'never' || (sample === 'once' && existsSync(doneFile))) {
      step.done('left out');
      progress
        .begin('Running the sample job')
        .done(sample === 'never' ? 'left out' : 'has succeeded here before');
      return false;
    }
    const image = await ensureSampleImage({ engineHost, step, signal });
    stopHereWhenAsked();
    if (!image.ok) {
      step.fail(image.reason);
      progress.begin('Running the sample job').warn('left out: no image');
      return false;
    }
    step.done(`${image.image}, ${image.how}`);

    const job = progress.begin('Running the sample job');
    progress.pause(); // The command line shows what happens.
    const outcome = await runSampleJob({
      image: image.image,
      url: orchestratorUrl(market),
      token: market.operatorToken,
      outputDir: `${home}/sample`,
      api,
      line: progress.line,
      signal,
    });
    stopHereWhenAsked();
    if (outcome.ok) {
      job.done(outcome.name);
      writeFileSync(doneFile, `${outcome.name}\n`);
    } else {
      job.fail(outcome.reason);
      progress.line(`     logs: ${shown(`${home}/logs`)}`);
    }
    return outcome.ok;
  }

  /**
   * @param {import('./market-programs.mjs').Market} market
   * @param {ReturnType<typeof startDashboardBuild>} build
   */
  async function startDashboard(market, build) {
    stopHereWhenAsked();
    const step = progress.begin('Starting the dashboard');
    const timer = setInterval(() => step.detail(`next build: ${build.newest}`), 200);
    const result = await build.result.finally(() => clearInterval(timer));
    stopHereWhenAsked();
    if (!result.ok) {
      step.fail('next build failed');
      throw new StartError('the dashboard does not build', result.tail);
    }
    step.detail('');
    await startProgram(step, dashboardProgram(market));
    step.done(dashboardUrl(market));
  }

  /** @param {import('./market-programs.mjs').Market} market @param {boolean} hasProvider */
  function sayWhereThingsAre(market, hasProvider) {
    progress.line();
    progress.line(` Dashboard      ${dashboardUrl(market)}`);
    progress.line(` API            ${orchestratorUrl(market)}   reference ${orchestratorUrl(market)}/docs`);
    progress.line(` Command line   source ${shown(`${home}/dev.env`)}   then: npx cfab status`);
    progress.line(` Logs           ${shown(`${home}/logs`)}/`);
    if (!hasProvider) progress.line(' Provider       none: jobs wait until a machine joins');
    if (!demo) progress.line('\n Ctrl-C stops everything; your data stays.');
  }

  function stopHereWhenAsked() {
    if (signal.aborted) throw new StartError('stopped');
  }

  /** Stops everything that was started, newest first, and says what did not go well. */
  async function stop() {
    if (started.length === 0) return;
    const names = started
      .map(({ what }) => what)
      .filter((what) => what !== 'lock' && what !== 'dashboard build');
    const title = signal.aborted ? 'Stopping' : 'Done; stopping';
    const step = names.length === 0 ? undefined : progress.begin(title, { numbered: false });
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
    step?.done(names.join(', '));
  }
}

function ignore() {}
