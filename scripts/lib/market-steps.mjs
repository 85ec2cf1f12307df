import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { ensureDockerEngine } from './docker-engine.mjs';
import { ensurePackages } from './install-packages.mjs';
import { endLeftovers } from './leftovers.mjs';
import { tryLock } from './lock-file.mjs';
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
import { StartError } from './start-error.mjs';
import { logFileOf } from './supervisor.mjs';

/**
 * The steps of `npm start`, in their order. Each shows its progress, registers how to undo what it
 * started, and throws a StartError when the start cannot go on.
 *
 * @typedef {import('./market-run.mjs').MarketContext} MarketContext
 * @typedef {import('./market-programs.mjs').Market} Market
 */

/**
 * Makes sure that this home and these ports are ours.
 * @param {MarketContext} context
 */
export async function claimHome({ home, progress, shown, onStop }) {
  mkdirSync(home, { recursive: true });
  const lock = await tryLock(`${home}/start.lock`);
  if ('owner' in lock) {
    throw new StartError(
      `${shown(home)} is already running (pid ${lock.owner.pid}). ` +
        'A second copy needs a home and ports of its own: ' +
        'COMPUTEFABRIC_HOME=.computefabric/second PORT=3001 ORCHESTRATOR_PORT=4001 npm start',
    );
  }
  onStop('lock', lock.release);
  const ended = await endLeftovers(home);
  if (ended.length > 0) progress.line(` Ended what an earlier run left behind: ${ended.join(', ')}`);
  const dashboardPort = portFrom('PORT', 3000);
  const orchestratorPort = portFrom('ORCHESTRATOR_PORT', 4000);
  const taken = await describeTakenPorts([
    { variable: 'ORCHESTRATOR_PORT', port: orchestratorPort, what: 'orchestrator' },
    { variable: 'PORT', port: dashboardPort, what: 'dashboard' },
  ]);
  if (taken !== undefined) throw new StartError(taken);
  return { dashboardPort, orchestratorPort };
}

/** @param {MarketContext} context */
export async function installPackages({ progress, signal, stopHereWhenAsked }) {
  const step = progress.begin('Installing packages');
  const result = await ensurePackages({ step, signal });
  stopHereWhenAsked();
  if (!result.ok) {
    step.fail(result.reason);
    throw new StartError(`${result.reason}; run it by hand to see more: npm ci`, result.tail);
  }
  step.done(result.installed ? '' : 'already installed');
}

/** @param {MarketContext} context */
export async function buildPrograms({ progress }) {
  const step = progress.begin('Building the programs');
  // Loaded only now, because it needs esbuild.
  const { ensureBundles } = await import('../bundle.mjs');
  try {
    const built = await ensureBundles();
    step.done(built.length === 0 ? 'nothing has changed' : built.join(', '));
  } catch (error) {
    step.fail('esbuild failed');
    throw new StartError('the programs do not build', error instanceof Error ? error.message : String(error));
  }
}

/**
 * Begins the build of the dashboard in the background: the sample job does not need it.
 * @param {MarketContext} context
 */
export function startDashboardBuild({ signal, onStop }) {
  const build = {
    newestLine: '',
    result: ensureDashboardBuild({ onProgress: (text) => (build.newestLine = text), signal }),
  };
  // Looked at when the dashboard starts; until then a failure must not end the process.
  const over = build.result.then(
    () => undefined,
    () => undefined,
  );
  onStop('dashboard build', () => over);
  return build;
}

/** @param {MarketContext} context @returns {Promise<string>} The URL of the database. */
export async function startDatabase({ home, progress, signal, onStop, stopHereWhenAsked }) {
  const step = progress.begin('Starting the database');
  if (process.env.DATABASE_URL) {
    step.done('yours, from DATABASE_URL');
    return process.env.DATABASE_URL;
  }
  const program = `${rootDir}/db/dist/cli.mjs`;
  onStop('database', async () => {
    const stopped = await runCommand(process.execPath, [program, 'stop', '--home', home], {
      deadlineSeconds: 30,
    });
    return stopped.ok ? undefined : `the database did not stop: ${stopped.tail}`;
  });
  const result = await runCommand(process.execPath, [databaseProgram, 'start', '--home', home, '--json'], {
    deadlineSeconds: 120,
    onLine: (line) => step.detail(line.startsWith('{') ? '' : line),
    signal,
  });
  stopHereWhenAsked();
  if (!result.ok) {
    step.fail('it does not start');
    throw new StartError('the embedded database does not start', result.tail);
  }
  const { url, started } = JSON.parse(result.stdout);
  step.done(`embedded PostgreSQL${started ? '' : ', already running'}`);
  return url;
}

const databaseProgram = `${rootDir}/db/dist/cli.mjs`;

/** @param {string} home */
export function stopDatabaseWithoutWaiting(home) {
  const args = [databaseProgram, 'stop', '--home', home];
  spawn(process.execPath, args, { detached: true, stdio: 'ignore' }).unref();
}

/**
 * @param {MarketContext} context
 * @returns {Promise<import('./docker-engine.mjs').AvailableEngine | undefined>} undefined when there
 *   is none; a demo ends there, a start goes on without a provider.
 */
export async function findDocker({ progress, signal, demo, onStop, stopHereWhenAsked }) {
  const step = progress.begin('Finding Docker');
  const engine = await ensureDockerEngine({ step, signal });
  if (engine.available) {
    if (engine.startedByUs) onStop('Docker engine', engine.stop);
    step.done(`engine ${engine.version}${engine.startedByUs ? ', started for this run' : ''}`);
    return engine;
  }
  stopHereWhenAsked();
  step.warn(engine.reason);
  if (demo)
    throw new StartError(`the demo needs Docker, and ${engine.reason}. Run:\n\n  ${engine.command}\n`);
  progress.line('     Jobs run in Docker containers. Going on without a provider; to get Docker, run:');
  progress.line(`       ${engine.command}`);
  return undefined;
}

/** @param {MarketContext} context @param {Market} market */
export async function startOrchestrator(context, market) {
  const step = context.progress.begin('Starting the orchestrator');
  await startProgram(context, step, orchestratorProgram(market));
  step.done(orchestratorUrl(market));
}

/**
 * @param {MarketContext} context
 * @param {Market} market
 * @param {import('./market-api.mjs').MarketApi} api
 * @param {string} dockerHost
 */
export async function startProvider(context, market, api, dockerHost) {
  const step = context.progress.begin('Starting a provider');
  const credentialFile = `${providerHome(market)}/credential.json`;
  const me = async () => (await api.machines()).find(({ id }) => id === readProviderId(credentialFile));
  const before = await me();
  if (before === undefined && existsSync(credentialFile)) {
    // Another database than last time (DATABASE_URL was changed): here the machine has to join anew.
    step.note('this market does not know the machine of this home; it joins as a new one');
    renameSync(credentialFile, `${credentialFile}.of-another-market`);
  }
  const joinToken = before === undefined ? await newJoinToken(context, market) : undefined;
  const isReady = async () => {
    const now = await me();
    // A killed provider may still be `online` in the books; it has to have been heard again.
    return now?.state === 'online' && now.last_seen_at !== before?.last_seen_at;
  };
  await startProgram(context, step, providerProgram(market, { dockerHost, joinToken, isReady }));
  const { name = '', gpus = [] } = (await me()) ?? {};
  step.done(`${name}: ${describeGpus(gpus)}`);
}

/** @param {string} credentialFile @returns {string | undefined} undefined before the first start. */
function readProviderId(credentialFile) {
  if (!existsSync(credentialFile)) return undefined;
  return JSON.parse(readFileSync(credentialFile, 'utf8')).provider_id;
}

/** `2 × NVIDIA GeForce RTX 4090 (simulated)` @param {import('./market-api.mjs').Machine['gpus']} gpus */
function describeGpus(gpus) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { name, simulated } of gpus) {
    const text = `${name}${simulated ? ' (simulated)' : ''}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => `${count} × ${text}`).join(', ') || 'no GPU';
}

/** @param {MarketContext} context @param {Market} market @returns {Promise<string>} */
async function newJoinToken({ signal, stopHereWhenAsked }, market) {
  const cfab = `${rootDir}/client/cli/bin/cfab.mjs`;
  const result = await runCommand(process.execPath, [cfab, 'machine', 'token', '--json'], {
    env: { COMPUTEFABRIC_URL: orchestratorUrl(market), COMPUTEFABRIC_TOKEN: market.operatorToken },
    deadlineSeconds: 30,
    signal,
  });
  stopHereWhenAsked();
  if (!result.ok) throw new StartError('no join token for the provider (cfab machine token)', result.tail);
  return JSON.parse(result.stdout).token;
}

/**
 * @param {MarketContext} context
 * @param {Market} market
 * @param {ReturnType<typeof startDashboardBuild>} build
 * @returns {Promise<boolean>} Whether it runs. Jobs need no dashboard, so a start goes on without.
 */
export async function startDashboard(context, market, build) {
  const { progress, demo, stopHereWhenAsked } = context;
  stopHereWhenAsked();
  const step = progress.begin('Starting the dashboard');
  const timer = setInterval(() => step.detail(`next build: ${build.newestLine}`), 200);
  const result = await build.result.finally(() => clearInterval(timer));
  stopHereWhenAsked();
  if (!result.ok) {
    step.fail('next build failed');
    if (demo) throw new StartError('the dashboard does not build', result.tail);
    progress.line(result.tail.replaceAll(/^/gm, '     '));
    return false;
  }
  step.detail('');
  await startProgram(context, step, dashboardProgram(market));
  step.done(dashboardUrl(market));
  return true;
}

/**
 * @param {MarketContext} context
 * @param {import('./progress.mjs').Step} step
 * @param {import('./supervisor.mjs').Program} program
 */
async function startProgram({ home, supervisor, shown, onStop, stopHereWhenAsked }, step, program) {
  stopHereWhenAsked();
  const { name } = program;
  onStop(name, async () =>
    (await supervisor.stop(name)) === 'killed'
      ? `the ${name} did not stop by itself and was killed`
      : undefined,
  );
  const result = await supervisor.start(program, (text) => step.detail(text));
  stopHereWhenAsked();
  if (result.ok) return;
  step.fail(result.reason);
  throw new StartError(`the ${name} does not start; its log is ${shown(logFileOf(home, name))}`, result.tail);
}
