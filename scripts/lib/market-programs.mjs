import { findProgram } from './find-program.mjs';
import { answers } from './market-api.mjs';

/**
 * What each program of a local market is started with. The environment is the whole contract
 * between `npm start` and the programs; .env.example documents the same names.
 *
 * @typedef {object} Market
 * @property {string} home COMPUTEFABRIC_HOME: database, logs, keys and the provider's state.
 * @property {number} dashboardPort PORT
 * @property {number} orchestratorPort ORCHESTRATOR_PORT
 * @property {string} databaseUrl
 * @property {string} operatorToken API key of the local operator, from dev.env.
 *
 * @typedef {import('./supervisor.mjs').Program} Program
 */

/** @param {Market} market */
export function orchestratorUrl({ orchestratorPort }) {
  return `http://127.0.0.1:${orchestratorPort}`;
}

/** @param {Market} market */
export function dashboardUrl({ dashboardPort }) {
  return `http://127.0.0.1:${dashboardPort}`;
}

/** @param {Market} market @returns {Program} */
export function orchestratorProgram(market) {
  return {
    name: 'orchestrator',
    args: ['--enable-source-maps', 'orchestrator/dist/main.mjs'],
    env: programEnv({
      // Only this machine can reach it: there is no TLS in front of it here.
      ORCHESTRATOR_HOST: '127.0.0.1',
      ORCHESTRATOR_PORT: String(market.orchestratorPort),
      DATABASE_URL: market.databaseUrl,
      COMPUTEFABRIC_HOME: market.home,
      // The account that this key opens is created, with play money, when it does not exist yet.
      COMPUTEFABRIC_OPERATOR_TOKEN: market.operatorToken,
      // For the links in answers and messages.
      DASHBOARD_URL: dashboardUrl(market),
    }),
    isReady: () => answers(`${orchestratorUrl(market)}/readyz`),
    readySeconds: 60,
    stopSeconds: 15,
  };
}

/** @param {Market} market */
export function providerHome({ home }) {
  return `${home}/provider`;
}

/**
 * @param {Market} market
 * @param {object} options
 * @param {string} options.dockerHost
 * @param {string | undefined} options.joinToken Needed until the provider has a credential.
 * @param {() => Promise<boolean>} options.isReady
 * @returns {Program}
 */
export function providerProgram(market, { dockerHost, joinToken, isReady }) {
  return {
    name: 'provider',
    args: ['--enable-source-maps', 'provider/dist/main.mjs'],
    env: programEnv({
      COMPUTEFABRIC_URL: orchestratorUrl(market),
      PROVIDER_HOME: providerHome(market),
      ...(joinToken === undefined ? {} : { PROVIDER_JOIN_TOKEN: joinToken }),
      ...simulatedGpus(),
      DOCKER_HOST: dockerHost,
    }),
    isReady,
    readySeconds: 60,
    // It ends its containers before it goes.
    stopSeconds: 30,
  };
}

/** @param {Market} market @returns {Program} */
export function dashboardProgram(market) {
  return {
    name: 'dashboard',
    args: ['node_modules/next/dist/bin/next', 'start', '-H', '127.0.0.1', '-p', String(market.dashboardPort)],
    env: programEnv({
      PORT: String(market.dashboardPort),
      COMPUTEFABRIC_URL: orchestratorUrl(market),
      DATABASE_URL: market.databaseUrl,
      // Whoever opens the page on this machine is the operator; no sign-in.
      DASHBOARD_LOCAL_TOKEN: market.operatorToken,
      NEXT_TELEMETRY_DISABLED: '1',
    }),
    isReady: () => answers(`${dashboardUrl(market)}/icon.svg`),
    readySeconds: 60,
    stopSeconds: 10,
  };
}

/**
 * Without a GPU in the machine the provider offers simulated ones, clearly marked as such, so that
 * the whole market can be seen on any laptop. PROVIDER_SIMULATED_GPUS in the environment wins.
 * @returns {Record<string, string>}
 */
function simulatedGpus() {
  const asked = process.env.PROVIDER_SIMULATED_GPUS;
  if (asked) return { PROVIDER_SIMULATED_GPUS: asked };
  if (findProgram('nvidia-smi') !== undefined) return {};
  return { PROVIDER_SIMULATED_GPUS: '2x NVIDIA GeForce RTX 4090:24564' };
}

/**
 * Our own environment without what belongs to other programs: a provider must not see the
 * database's password, nor an orchestrator somebody's API key.
 *
 * @param {Record<string, string>} own
 * @returns {NodeJS.ProcessEnv}
 */
function programEnv(own) {
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, NODE_ENV: 'production' };
  for (const name of Object.keys(env)) if (isOurs.test(name) || isFromNpm.test(name)) delete env[name];
  return { ...env, ...own };
}

const isOurs =
  /^(COMPUTEFABRIC_(URL|TOKEN|HOME|OPERATOR_TOKEN)|DATABASE_URL|DASHBOARD_(URL|LOCAL_TOKEN)|PORT|ORCHESTRATOR_(PORT|HOST)|PROVIDER_(HOME|JOIN_TOKEN|SIMULATED_GPUS)|DOCKER_HOST)$/;
const isFromNpm = /^npm_/;
