import { join } from 'node:path';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import { systemClock } from '@computefabric/runtime/clock';
import { toError } from '@computefabric/runtime/errors';
import type { Lifecycle } from '@computefabric/runtime/lifecycle';
import type { Logger } from '@computefabric/runtime/log';
import { Agent, type AgentEnd } from './agent.ts';
import type { ProviderConfig } from './config.ts';
import { KeptStates } from './checkpoints/kept-states.ts';
import type { ContainerDriver } from './container/container-driver.ts';
import { isContainerError } from './container/container-error.ts';
import { DockerDriver } from './container/docker-driver.ts';
import { parseEngineAddress } from './container/engine-address.ts';
import { startControlServer } from './control/control-server.ts';
import { ControlPlaneClient } from './control-plane/client.ts';
import { obtainCredential } from './control-plane/credential.ts';
import { startGuard } from './guard-process.ts';
import { type AgentHome, agentHome, obtainAgentId, prepareHome } from './home/agent-home.ts';
import { systemBootClock } from './home/boot-clock.ts';
import { obtainSigningKey } from './home/signing-key.ts';
import { takeLock } from './home/home-lock.ts';
import { PulledImages } from './images/pulled-images.ts';
import { discoverInventory } from './inventory/discover-inventory.ts';
import { OwnerConfigError } from './policy/owner-config.ts';
import { OwnerPolicy, ownerFileName } from './policy/owner-policy.ts';
import { PowerLimits } from './policy/power-limits.ts';
import { hasDesktop } from './policy/readings/machine-facts.ts';
import { Senses } from './policy/readings/senses.ts';
import { StartError } from './start-error.ts';

/** Reading the last output, reporting and removing containers when the owner stops the agent. */
export const drainMs = 10_000;

/** The watchdog takes an agent for frozen that has left no sign of life for several times this long. */
const signOfLifeMs = 1_000;

const bytesPerMib = 1_048_576;

interface ComposeOptions {
  env: Readonly<Record<string, string | undefined>>;
  log: Logger;
  /** Takes in how to undo each part. */
  lifecycle: Lifecycle;
  /** Aborts when the owner stops the agent before it has started. */
  signal: AbortSignal;
}

/**
 * Builds and starts the agent, part by part. What can be wrong with the machine is found before the join token
 * is spent.
 *
 * @throws StartError saying what the owner has to do
 */
export async function compose(
  config: ProviderConfig,
  { env, log, lifecycle, signal }: ComposeOptions,
): Promise<{ ended: Promise<AgentEnd> }> {
  const home = agentHome(config.home);
  await prepareHome(home);
  const lock = await lockHome(home);
  lifecycle.add('lock', () => lock.release());
  const living = setInterval(() => {
    lock
      .touch()
      .catch((thrown: unknown) => log.warn({ err: toError(thrown) }, 'no sign of life could be left'));
  }, signOfLifeMs);
  lifecycle.add('signs of life', () => clearInterval(living));

  const driver = makeDriver(config, home, await obtainAgentId(home), log);
  lifecycle.add('prepared networks', () => driver.close());
  const machine = await lookAtMachine(config, driver);
  log.info(
    {
      docker_version: machine.docker_version,
      cpus: machine.cpus,
      gpus: machine.gpus.length,
      networks: machine.networks,
      disk_limited: machine.disk_limited,
      sandbox: machine.sandbox,
    },
    'machine seen',
  );
  // What renters read of this machine, its owner should have read before.
  if (machine.network_note !== '') log.warn({ why: machine.network_note }, 'jobs get less of a network');
  if (!machine.disk_limited) log.warn({ why: machine.disk_note }, 'what jobs write to disk has no limit');

  const policy = await openPolicy(config, home, log);
  lifecycle.add('limits on the cards', () => policy.close());
  // Before the machine has joined: its owner can pause an agent that waits for the market.
  try {
    const control = await startControlServer({ path: home.controlSocket, policy, log });
    lifecycle.add('commands of the owner', () => control.close());
  } catch (thrown) {
    // A file system without sockets, or too long a path. The owner's file and a stop work all the same.
    log.error(
      { err: toError(thrown) },
      'the agent takes no commands; give it a shorter PROVIDER_HOME on a local disk',
    );
  }

  const client = new ControlPlaneClient(config.orchestratorUrl);
  const signer = await obtainSigningKey(home);
  const credential = await obtainCredential({
    path: home.credential,
    client,
    signer,
    joinToken: config.joinToken,
    name: config.name,
    log,
    signal,
  }).catch(async (thrown: unknown) => {
    // An agent that does not begin leaves no rules behind, unless programs of before still run under them.
    if ((await driver.listOwned()).length === 0) await driver.close();
    throw thrown;
  });

  const guard = startGuard({ home, env, log });
  lifecycle.add('watchdog', () => guard.stop());

  const agent = new Agent({
    policy,
    home,
    client,
    credential,
    signer,
    driver,
    images: await PulledImages.open({ path: home.images, rules: config.images, driver, log }),
    states: await KeptStates.open({ folder: home.states, budgetBytes: config.stateCacheBytes, log }),
    inventory: () => discoverInventory(config, driver),
    guarded: guard.ready,
    moveGraceSeconds: config.moveGraceSeconds,
    drainMs,
    clock: systemClock,
    bootClock: systemBootClock,
    log,
  });
  lifecycle.add('agent', () => agent.drain());
  return await agent.start();
}

/** The owner's rules. A file that cannot be used is said before anything else happens. */
async function openPolicy(config: ProviderConfig, home: AgentHome, log: Logger): Promise<OwnerPolicy> {
  const root = '/';
  const profile = config.profile ?? ((await hasDesktop(root)) ? 'desktop' : 'server');
  try {
    return await OwnerPolicy.open({
      home: home.root,
      senses: new Senses({ root, home: home.root, display: config.display }),
      power: new PowerLimits(home.powerLimits),
      defaults: { profile, timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone },
      clock: systemClock,
      log,
    });
  } catch (thrown) {
    if (!(thrown instanceof OwnerConfigError)) throw thrown;
    throw new StartError(
      `${join(home.root, ownerFileName)} cannot be used: ${thrown.message}`,
      'configuration',
      thrown,
    );
  }
}

async function lockHome(home: AgentHome) {
  const taken = await takeLock(home.agentLock);
  if (taken.kind === 'locked') return taken.lock;
  throw new StartError(
    `Another agent (process ${taken.owner.pid}) works in ${home.root}: stop it first, or give this one another PROVIDER_HOME.`,
    'other-agent',
  );
}

function makeDriver(config: ProviderConfig, home: AgentHome, agentId: string, log: Logger): DockerDriver {
  try {
    return new DockerDriver({
      address: parseEngineAddress(config.dockerHost),
      agentId,
      egress: {
        ...config.network,
        onProblem: (problem) => log.error({ problem }, 'jobs get no network'),
      },
      disk: { folder: home.disks, defaultBytes: config.jobDiskMib * bytesPerMib },
      sandbox: config.sandbox,
      prepareNetworks: true,
      prepareImages: true,
    });
  } catch (thrown) {
    throw new StartError(toError(thrown).message, 'configuration', thrown);
  }
}

/** A first look, for the mistakes that the owner can put right. */
async function lookAtMachine(config: ProviderConfig, driver: ContainerDriver): Promise<Inventory> {
  try {
    return await discoverInventory(config, driver);
  } catch (thrown) {
    throw new StartError(
      toError(thrown).message,
      isContainerError(thrown) ? 'no-engine' : 'configuration',
      thrown,
    );
  }
}
