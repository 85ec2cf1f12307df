import { access, constants, readFile, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError } from '@computefabric/runtime/config';
import { toError } from '@computefabric/runtime/errors';
import { parseConfig, type ProviderConfig } from '../config.ts';
import { DockerDriver } from '../container/docker-driver.ts';
import { type EngineAddress, parseEngineAddress } from '../container/engine-address.ts';
import { whyNoNetwork } from '../container/network/host-firewall.ts';
import { readCredentialFile } from '../control-plane/credential.ts';
import { agentHome } from '../home/agent-home.ts';
import { findNvidiaGpus } from '../inventory/nvidia-smi.ts';
import { simulatedGpus } from '../inventory/simulated-gpus.ts';
import { parseOwnerConfig } from '../policy/owner-config.ts';
import { ownerFileName } from '../policy/owner-policy.ts';
import { askAgent } from './ask-agent.ts';
import { mostSocketPathBytes } from './control-protocol.ts';

/** What one look at the machine has found. */
export interface Finding {
  check: string;
  /** `problem`: the agent cannot work so. `note`: it works, with less than it could. */
  state: 'ok' | 'note' | 'problem';
  says: string;
  /** What the owner can do; empty when there is nothing to do. */
  remedy: string;
}
type Result = Omit<Finding, 'check'>;

const marketMs = 5_000;
const leastFreeMib = 2_048;

/**
 * Looks for what keeps an agent with these settings from working. Changes nothing and makes no container, so it may
 * run beside the agent.
 */
export async function examineMachine(env: Readonly<Record<string, string | undefined>>): Promise<Finding[]> {
  let config: ProviderConfig;
  try {
    config = parseConfig(env);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return [{ check: 'settings', ...problem(thrown.message, 'Put these variables right.') }];
  }
  const checks: [string, (config: ProviderConfig) => Result | Promise<Result>][] = [
    ['settings', () => ok('every variable can be read')],
    ['folder', examineHome],
    ['rules', examineOwnerFile],
    ['Docker', examineEngine],
    ['GPUs', examineGpus],
    ['network of jobs', examineNetwork],
    ['joined', examineMembership],
    ['market', examineMarket],
    ['agent', examineAgent],
  ];
  return await Promise.all(
    checks.map(async ([check, look]) => {
      try {
        return { check, ...(await look(config)) };
      } catch (thrown) {
        return { check, ...problem(toError(thrown).message, 'See what this says, and look again.') };
      }
    }),
  );
}

async function examineHome({ home }: ProviderConfig): Promise<Result> {
  const there = await nearestFolder(home);
  try {
    await access(there, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    // Why not is always the same: its rights.
    return problem(
      `${there} cannot be written by this user`,
      'Run as the agent’s user, or set PROVIDER_HOME.',
    );
  }
  const { bavail, bsize } = await statfs(there);
  const freeMib = Math.floor((bavail * bsize) / 1_048_576);
  if (freeMib < leastFreeMib)
    return note(`only ${freeMib} MiB are free in ${there}`, 'Make room on this disk.');
  if (Buffer.byteLength(agentHome(home).controlSocket) > mostSocketPathBytes)
    return note(`${home} is too long a path for status, pause and resume`, 'Set a shorter PROVIDER_HOME.');
  return ok(`${home}, ${(freeMib / 1_024).toFixed(1)} GiB free`);
}

async function examineOwnerFile({ home, profile }: ProviderConfig): Promise<Result> {
  const path = join(home, ownerFileName);
  const text = await readFile(path, 'utf8').catch((thrown: unknown) => {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return null;
    throw thrown;
  });
  if (text === null) return ok(`there is no ${path}: the profile counts`);
  try {
    parseOwnerConfig(text, { profile: profile ?? 'server', timeZone: 'UTC' });
    return ok(path);
  } catch (thrown) {
    return problem(
      `${path}: ${toError(thrown).message}`,
      'Put the file right; docs/owners.md has every field.',
    );
  }
}

async function examineEngine(config: ProviderConfig): Promise<Result> {
  let address: EngineAddress;
  try {
    address = parseEngineAddress(config.dockerHost);
  } catch (thrown) {
    return problem(toError(thrown).message, 'Set DOCKER_HOST, such as unix:///var/run/docker.sock.');
  }
  try {
    const engine = await new DockerDriver({ address, agentId: 'doctor' }).ping();
    return ok(`${engine.version} on ${engine.operatingSystem}, ${engine.cpus} cores`);
  } catch (thrown) {
    return problem(
      toError(thrown).message,
      'Start Docker, and run as root or as a member of the group docker. `docker info` must answer.',
    );
  }
}

async function examineGpus(config: ProviderConfig): Promise<Result> {
  const found = await findNvidiaGpus().catch(toError);
  if (found instanceof Error)
    return problem(
      found.message,
      '`nvidia-smi` must work; after an update of the driver, restart the machine.',
    );
  const simulated = simulatedGpus(config.simulatedGpus, config.home);
  if (found.length + simulated.length === 0)
    return note('none found: only jobs without a GPU come', 'For an NVIDIA card, install its driver.');
  const names = found.map(({ name }) => name);
  return ok([...names, ...simulated.map(({ name }) => `${name} (simulated)`)].join(', '));
}

async function examineNetwork({ network, dockerHost }: ProviderConfig): Promise<Result> {
  if (network.most === 'none') return ok('none, as you want it (PROVIDER_NETWORK)');
  const why = await whyNoNetwork('socketPath' in parseEngineAddress(dockerHost));
  if (why === null) return ok(`${network.most}; tried at the start of the agent`);
  return note(
    `${why}: only jobs without a network come`,
    'Run the agent as root on Linux, with ip, nsenter and iptables, or set PROVIDER_NETWORK=none.',
  );
}

async function examineMembership({ home, joinToken }: ProviderConfig): Promise<Result> {
  const file = await readCredentialFile(agentHome(home).credential);
  if (file) return ok(`as ${file.name}${file.url === undefined ? '' : ` at ${file.url}`}`);
  if (joinToken) return ok('not yet; a join token is set');
  return problem(
    'this machine has not joined a market',
    'Ask for a token with `cfab machine token` and set PROVIDER_JOIN_TOKEN for the first start.',
  );
}

async function examineMarket({ orchestratorUrl }: ProviderConfig): Promise<Result> {
  const remedy = 'Set COMPUTEFABRIC_URL to the market’s address; a firewall must let this machine out to it.';
  try {
    const answer = await fetch(`${orchestratorUrl}/healthz`, {
      redirect: 'error',
      signal: AbortSignal.timeout(marketMs),
    });
    await answer.body?.cancel();
    if (answer.ok) return ok(`${orchestratorUrl} answers`);
    return problem(`${orchestratorUrl} answers with status ${answer.status}`, remedy);
  } catch (thrown) {
    const error = toError(thrown);
    const cause = error.cause instanceof Error ? error.cause.message || error.cause.name : '';
    return problem(`${orchestratorUrl}: ${error.message}${cause === '' ? '' : `: ${cause}`}`, remedy);
  }
}

async function examineAgent({ home }: ProviderConfig): Promise<Result> {
  try {
    const answer = await askAgent({ path: agentHome(home).controlSocket, home }, { command: 'status' });
    if (!answer.ok) return problem(answer.error.message, 'See the agent’s log.');
    const { sentence, problems } = answer.status;
    return problems.length === 0 ? ok(`runs: ${sentence}`) : note(problems.join(' '), 'See the agent’s log.');
  } catch (thrown) {
    return note(toError(thrown).message, '');
  }
}

/** The folder, or the one in which it will be made. */
async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      await access(folder);
      return folder;
    } catch {
      if (dirname(folder) === folder) return folder; // The root: nothing above it to look at.
    }
  }
}

const ok = (says: string): Result => ({ state: 'ok', says, remedy: '' });
const note = (says: string, remedy: string): Result => ({ state: 'note', says, remedy });
const problem = (says: string, remedy: string): Result => ({ state: 'problem', says, remedy });
