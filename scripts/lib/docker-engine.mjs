import { existsSync } from 'node:fs';
import { aptCommand, canInstallPackages, hasSystemd, installPackages, isDebian } from './apt.mjs';
import { callDocker, pingDocker } from './docker-api.mjs';
import { joinEngineUsers, leaveEngine, recordEngine, sharedEngineDir } from './engine-users.mjs';
import { findProgram } from './find-program.mjs';
import { withLock } from './lock-file.mjs';
import { runCommand } from './run-command.mjs';
import { startDockerd } from './start-dockerd.mjs';

/**
 * Finds a Docker engine, or brings one up where that can be done without asking: as root on Debian
 * or Ubuntu it installs docker.io, and wherever `dockerd` is installed and we are root it starts it.
 * Everything else is left to the person, with the one command to run.
 *
 * An engine that a run started is stopped when the last run that uses it ends (`stop`). An engine
 * that was there before, or that belongs to the machine's service manager, is left alone.
 *
 * @param {object} options
 * @param {import('./progress.mjs').Step} options.step
 * @param {NodeJS.ProcessEnv} [options.env] Where DOCKER_HOST is looked up.
 * @param {import('./start-dockerd.mjs').EnginePlace} [options.place] For tests: an engine somewhere
 *   else than the machine's usual one.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<DockerEngine>}
 *
 * @typedef {object} AvailableEngine
 * @property {true} available
 * @property {string} host For DOCKER_HOST.
 * @property {string} version
 * @property {boolean} startedByUs
 * @property {() => Promise<string | undefined>} stop Returns a sentence when the engine stays up.
 *
 * @typedef {{ available: false, reason: string, command: string }} MissingEngine
 * @typedef {AvailableEngine | MissingEngine} DockerEngine
 */
export async function ensureDockerEngine({ step, env = process.env, place = machineEngine, signal }) {
  const explicit = env.DOCKER_HOST;
  if (explicit !== undefined && explicit !== '') return useExplicitHost(explicit);

  const found = await findRunningEngine(place);
  if ('host' in found) return useEngine(found.host, found.version, place);
  if (found.refused !== undefined) return found.refused;

  const isRoot = process.getuid?.() === 0;
  if (process.platform !== 'linux' || !isRoot) return askThePerson();
  // One at a time: two copies that start together must not both install or start an engine.
  return withLock(
    `${sharedEngineDir(place.socket)}/start.lock`,
    {
      deadlineSeconds: 600,
      onWait: (owner) => step.detail(`process ${owner.pid} is starting the Docker engine`),
    },
    async () => {
      const again = await findRunningEngine(place);
      if ('host' in again) return useEngine(again.host, again.version, place);
      return bringUpEngine(place, step, signal);
    },
  );
}

/** The machine's usual engine. */
const machineEngine = { socket: '/var/run/docker.sock', args: [] };

/** @param {string} host @returns {Promise<DockerEngine>} */
async function useExplicitHost(host) {
  const answer = await pingDocker(host);
  if ('version' in answer) return leftAlone(host, answer.version);
  return {
    available: false,
    reason: `no Docker engine answers at DOCKER_HOST=${host} (${answer.problem})`,
    command: 'unset DOCKER_HOST',
  };
}

/**
 * Looks where engines usually listen: the system socket, Docker Desktop, rootless Docker.
 * @param {import('./start-dockerd.mjs').EnginePlace} place
 * @returns {Promise<{ host: string, version: string } | { refused: MissingEngine | undefined }>}
 */
async function findRunningEngine(place) {
  const sockets =
    place === machineEngine
      ? [
          place.socket,
          `${process.env.HOME ?? ''}/.docker/run/docker.sock`,
          ...(process.env.XDG_RUNTIME_DIR === undefined
            ? []
            : [`${process.env.XDG_RUNTIME_DIR}/docker.sock`]),
        ]
      : [place.socket];
  /** @type {MissingEngine | undefined} */
  let refused;
  for (const socket of sockets) {
    if (!existsSync(socket)) continue;
    const answer = await pingDocker(`unix://${socket}`);
    if ('version' in answer) return { host: `unix://${socket}`, version: answer.version };
    if (answer.code === 'EACCES') {
      refused = {
        available: false,
        reason: `you may not use the Docker engine at ${socket}`,
        command: 'sudo usermod -aG docker "$USER" && exec su - "$USER"',
      };
    }
  }
  return { refused };
}

/** @returns {MissingEngine} */
function askThePerson() {
  const reason = 'no Docker engine is running';
  if (process.platform !== 'linux') {
    return {
      available: false,
      reason,
      command: 'open https://docs.docker.com/desktop  (then start Docker Desktop)',
    };
  }
  if (findProgram('dockerd') !== undefined) {
    const start = hasSystemd() ? 'sudo systemctl start docker' : 'sudo dockerd &';
    return { available: false, reason, command: start };
  }
  const join = 'sudo usermod -aG docker "$USER" && exec su - "$USER"';
  if (isDebian()) {
    return { available: false, reason, command: `${aptCommand(enginePackages)} && ${join}` };
  }
  return { available: false, reason, command: `curl -fsSL https://get.docker.com | sudo sh && ${join}` };
}

/** `iptables` is only recommended by docker.io, but the engine's networks need it. */
const enginePackages = ['docker.io', 'iptables'];

/**
 * @param {import('./start-dockerd.mjs').EnginePlace} place
 * @param {import('./progress.mjs').Step} step
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<DockerEngine>}
 */
async function bringUpEngine(place, step, signal) {
  let installed = false;
  if (findProgram('dockerd') === undefined) {
    if (!canInstallPackages()) return askThePerson();
    step.note('No Docker engine is installed. Installing Debian’s docker.io now (about 300 MB on disk).');
    const result = await installPackages({
      packages: enginePackages,
      step,
      ...(signal === undefined ? {} : { signal }),
    });
    if (!result.ok) return { available: false, reason: result.reason, command: result.command };
    installed = true;
  }

  if (hasSystemd() && place === machineEngine) {
    step.note('Starting the docker service (systemctl start docker).');
    await runCommand('systemctl', ['start', 'docker'], {
      deadlineSeconds: 90,
      onLine: (line) => step.detail(line),
    });
    const found = await findRunningEngine(place);
    if ('host' in found) return leftAlone(found.host, found.version);
    const command = 'systemctl status docker';
    return { available: false, reason: 'the docker service did not start', command };
  }

  if (!installed) step.note('A Docker engine is installed but not running. Starting it (dockerd).');
  const started = await startDockerd(place, step, signal);
  if (!started.ok) {
    return { available: false, reason: started.reason, command: `dockerd   # and read ${started.logFile}` };
  }
  await recordEngine(place.socket, started.pid);
  return useEngine(`unix://${place.socket}`, started.version, place);
}

/**
 * Uses an engine that runs. When one of our own runs started it, this run joins its users, so that
 * the engine stays up until the last of them has ended.
 *
 * @param {string} host @param {string} version
 * @param {import('./start-dockerd.mjs').EnginePlace} place
 * @returns {Promise<DockerEngine>}
 */
async function useEngine(host, version, place) {
  const socket = host.slice('unix://'.length);
  if (socket !== place.socket || !(await joinEngineUsers(socket))) return leftAlone(host, version);
  return {
    available: true,
    host,
    version,
    startedByUs: true,
    stop: () => leaveEngine(socket, () => countForeignContainers(host)),
  };
}

/** @param {string} host @param {string} version @returns {AvailableEngine} */
function leftAlone(host, version) {
  return { available: true, host, version, startedByUs: false, stop: async () => undefined };
}

/**
 * Running containers that are not jobs of ComputeFabric: somebody else began to use the engine, and
 * stopping it would end their work.
 * @param {string} host
 */
async function countForeignContainers(host) {
  const reply = await callDocker(host, '/containers/json', { deadlineSeconds: 10 });
  /** @type {{ Labels?: Record<string, string> }[]} */
  const running = reply.status === 200 ? JSON.parse(reply.text) : [];
  return running.filter(
    ({ Labels = {} }) => !Object.keys(Labels).some((label) => label.startsWith('computefabric')),
  ).length;
}
