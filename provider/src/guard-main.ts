import { createLogger } from '@computefabric/runtime/log';
import { toError } from '@computefabric/runtime/errors';
import { parseConfig } from './config.ts';
import { DockerDriver } from './container/docker-driver.ts';
import { parseEngineAddress } from './container/engine-address.ts';
import { guardUntilDone } from './guard.ts';
import { agentHome, readAgentId } from './home/agent-home.ts';
import { systemBootClock } from './home/boot-clock.ts';
import { takeLock } from './home/home-lock.ts';

/** The watchdog of one PROVIDER_HOME. Started by the agent, outlives it if it has to. */
async function main(): Promise<void> {
  const config = parseConfig(process.env);
  const log = createLogger('provider-guard', config.logLevel);
  const home = agentHome(config.home);
  const agentId = await readAgentId(home);
  if (!agentId) throw new Error(`no agent has worked in ${home.root}`);
  const taken = await takeLock(home.guardLock);
  if (taken.kind === 'held') {
    log.info({ pid: taken.owner.pid }, 'another watchdog is there');
    return;
  }
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  process.on('SIGINT', () => stop.abort());
  // The terminal that the agent ran in may go; its tasks are watched all the same.
  process.on('SIGHUP', () => undefined);
  const driver = new DockerDriver({ address: parseEngineAddress(config.dockerHost), agentId });
  log.info({ home: home.root }, 'watching');
  try {
    const removeContainer = (leaseId: string) => driver.removeLease(leaseId);
    await guardUntilDone(
      { home, lock: taken.lock, clock: systemBootClock, log, removeContainer },
      stop.signal,
    );
    // Whose agent is gone for good: what that one kept ready for its next task goes too.
    if (!stop.signal.aborted) await driver.close();
  } finally {
    await taken.lock.release();
    log.info('done');
  }
}

main().catch((thrown: unknown) => {
  process.stderr.write(`${toError(thrown).stack}\n`);
  process.exitCode = 1;
});
