import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@computefabric/api-client/client';
import { isProcessAlive, processCommandLine } from '@computefabric/db/embedded/process-identity';
import { newBearer } from '@computefabric/protocol/api-key';
import { fenceHeader } from '@computefabric/protocol/provider-api/v1/common';
import { ensureBundles } from '../../scripts/bundle.mjs';
import { ensureTestImage, removeContainers, taskContainers, testImage } from '../journeys/engine.ts';
import { freePort } from '../journeys/free-port.ts';
import { until } from '../journeys/program.ts';
import { Daemon } from './daemon.ts';
import { ChaosDatabase } from './database.ts';
import { FaultProxy, type SeenCall } from './fault-proxy.ts';
import type { HistoryWriter } from './history.ts';

export interface ChaosMarketOptions {
  history: HistoryWriter;
  /** Folder for what the programs print. */
  logs: string;
  orchestrators: number;
  providers: number;
  leaseTtlSeconds: number;
  /** Another bundle of the orchestrator, relative to the root: a mutant. */
  orchestratorFile?: string;
}

interface Provider {
  name: string;
  agent: Daemon;
  link: FaultProxy;
  home: string;
}

export type ChaosMarket = Awaited<ReturnType<typeof startChaosMarket>>;

/** Small enough to be filled in a moment, large enough for all that a few tiny tasks keep. */
const smallDiskMib = 24;

/**
 * A whole market out of real programs with a link of ours in every connection: agents to the market, the market
 * to its database, us to the market. The first machine's home lies on a small disk of its own when we are root.
 */
export async function startChaosMarket({
  history,
  logs,
  orchestrators,
  providers,
  leaseTtlSeconds,
  orchestratorFile,
}: ChaosMarketOptions) {
  await ensureBundles(['orchestrator', 'provider', 'guard']);
  await ensureTestImage();
  const home = await mkdtemp(join(tmpdir(), 'computefabric-chaos-'));
  await chmod(home, 0o755);
  const { token } = newBearer('user');
  const undo: (() => unknown)[] = [() => rm(home, { recursive: true, force: true })];

  async function close(): Promise<string[]> {
    const failures: string[] = [];
    for (const step of undo.toReversed()) {
      try {
        await step();
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    return failures;
  }

  try {
    return await start();
  } catch (error) {
    await close();
    throw error;
  }

  async function start() {
    const database = await ChaosDatabase.start(home);
    undo.push(() => database.remove());

    const serving: { daemon: Daemon; port: number; link: FaultProxy }[] = [];
    for (let index = 0; index < orchestrators; index += 1) {
      const link = await FaultProxy.start({ targets: () => [database.port] });
      undo.push(() => link.close());
      const through = new URL(database.url);
      through.port = String(link.port);
      const port = await freePort();
      const daemon = makeDaemon(`orchestrator-${index}`, orchestratorFile ?? 'orchestrator/dist/main.mjs', {
        COMPUTEFABRIC_HOME: home,
        DATABASE_URL: through.href,
        ORCHESTRATOR_PORT: String(port),
        COMPUTEFABRIC_OPERATOR_TOKEN: token,
        LEASE_TTL_SECONDS: String(leaseTtlSeconds),
        LEASE_OFFER_SECONDS: String(leaseTtlSeconds),
        // A storm spoils more tries than a bad day does, and no job may be given up for it.
        MAX_ATTEMPTS: '1000',
        PLATFORM_FEE_BPS: '500',
        PLAY_MONEY_GRANT_USD: '1000000',
        NODE_ENV: 'test',
      });
      serving.push({ daemon, port, link });
      daemon.start();
      // One after the other at first: they would wait for each other's migration anyway.
      await untilReady(port, daemon);
    }
    const targets = () => serving.filter(({ daemon }) => daemon.running).map(({ port }) => port);
    const front = await FaultProxy.start({ targets });
    undo.push(() => front.close());
    const client = createClient({
      baseUrl: `http://127.0.0.1:${front.port}`,
      token,
      deadlineMs: 5_000,
      retry: { retries: 0 },
    });

    const machines: Provider[] = [];
    for (let index = 0; index < providers; index += 1) {
      const name = `machine-${index}`;
      const onCall = (call: SeenCall) => noteCall(name, call);
      const link = await FaultProxy.start({ targets, onCall });
      undo.push(() => link.close());
      const providerHome = join(home, name);
      mkdirSync(providerHome, { mode: 0o755 });
      if (index === 0 && canMount) mountSmallDisk(providerHome);
      const joinToken = (await client.machines.createJoinToken()).token;
      // Undone after the agent's end, which ends the watchdog in good order.
      undo.push(() => endGuard(providerHome));
      const agent = makeDaemon(name, 'provider/dist/main.mjs', {
        COMPUTEFABRIC_URL: `http://127.0.0.1:${link.port}`,
        PROVIDER_HOME: providerHome,
        PROVIDER_NAME: name,
        PROVIDER_JOIN_TOKEN: joinToken,
        PROVIDER_SIMULATED_GPUS: '2x NVIDIA GeForce RTX 4090:24564',
        PROVIDER_MEMORY_MIB: '4096',
      });
      machines.push({ name, agent, link, home: providerHome });
      agent.start();
    }
    await until('every machine online', 60, async () => {
      const { items } = await client.machines.list();
      return items.filter(({ state }) => state === 'online').length === providers;
    });

    return {
      home,
      client,
      image: testImage,
      database,
      orchestrators: serving,
      machines,
      /** Fills the first machine's disk to its last byte for `forMs`. */
      fillDisk: canMount ? (forMs: number) => fillDisk(machines[0]?.home ?? '', forMs) : null,
      guardOf: (machine: Provider) => guardPid(machine.home),
      /** Containers of these tries that are on the engine. */
      containers: (leaseIds: readonly string[]) => taskContainers(leaseIds),
      removeContainers: (leaseIds: readonly string[]) => removeContainers(leaseIds),
      /** Orderly end of everything; says what could not be undone. */
      close,
    };
  }

  function makeDaemon(name: string, file: string, env: Record<string, string>): Daemon {
    const daemon = new Daemon({
      name,
      file,
      env,
      output: join(logs, `${name}.log`),
      onEndedByItself: (how) => history.add({ kind: 'ended-by-itself', at: Date.now(), program: name, how }),
    });
    undo.push(async () => {
      if ((await daemon.stop(30)) === 'killed') throw new Error(`${name} did not end when it was asked to`);
    });
    return daemon;
  }

  function mountSmallDisk(folder: string): void {
    execFileSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=${smallDiskMib}m,mode=755`,
      'computefabric-chaos',
      folder,
    ]);
    undo.push(() => {
      execFileSync('umount', [folder]);
    });
  }

  function noteCall(provider: string, { path, headers, status, sentAt, answeredAt }: SeenCall): void {
    const named = /^\/provider\/v1\/leases\/([^/?]+)\/([a-z]+)/.exec(path);
    if (!named?.[1] || !named[2]) return;
    history.add({
      kind: 'call',
      at: sentAt,
      answeredAt,
      provider,
      call: named[2],
      leaseId: named[1],
      fence: Number(headers.get(fenceHeader) ?? -1),
      status,
    });
  }
}

/** Whether a disk of our own can be made, which takes root on Linux. */
export const canMount = process.platform === 'linux' && process.getuid?.() === 0 && mayMount();

/** Root in a container may still be forbidden to mount. */
function mayMount(): boolean {
  const folder = join(tmpdir(), `computefabric-mount-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'computefabric-chaos', folder], {
      stdio: 'ignore',
    });
    execFileSync('umount', [folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false; // Then the storm does without a full disk, and says so.
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function untilReady(port: number, daemon: Daemon): Promise<void> {
  await until(`${daemon.name} to serve`, 60, async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
}

async function fillDisk(folder: string, forMs: number): Promise<boolean> {
  const filler = join(folder, 'filler');
  const descriptor = openSync(filler, 'w');
  const piece = Buffer.alloc(65_536, 1);
  let size = piece.length;
  try {
    // Smaller and smaller, until not even a byte fits.
    for (;;) {
      try {
        writeSync(descriptor, piece, 0, size);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
        if (size === 1) break;
        size = Math.max(1, Math.floor(size / 8));
      }
    }
    await new Promise((resolve) => {
      setTimeout(resolve, forMs);
    });
    return true;
  } finally {
    closeSync(descriptor);
    rmSync(filler, { force: true });
  }
}

/** The watchdog of a home, if it lives. */
function guardPid(home: string): number | null {
  try {
    const { pid }: { pid: number } = JSON.parse(readFileSync(join(home, 'guard.lock'), 'utf8'));
    const isOurs = isProcessAlive(pid) && processCommandLine(pid)?.includes('guard.mjs');
    return isOurs ? pid : null;
  } catch {
    return null; // No lock, no watchdog.
  }
}

/** A watchdog outlives its agent as long as it has something to watch; an orderly end leaves it nothing. */
async function endGuard(home: string): Promise<void> {
  const pid = guardPid(home);
  if (pid === null) return;
  process.kill(pid, 'SIGCONT');
  process.kill(pid, 'SIGKILL');
  throw new Error(`the watchdog of ${home} was still there`);
}
