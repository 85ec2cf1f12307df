import { pause } from '@computefabric/runtime/wait';
import type { ChaosMarket } from './chaos-market.ts';
import type { Fault } from './fault-plan.ts';
import type { FaultProxy } from './fault-proxy.ts';
import type { HistoryWriter } from './history.ts';

/** A victim of the last fault gets this long to be back before the next one hits it. */
const waitForVictimMs = 15_000;
/** A fault waits this long for its share of the jobs to be submitted, which it may keep from happening. */
const waitForJobsMs = 10_000;

/**
 * Lets the planned faults loose, one after the other, without waiting for one to be over before the next, spread
 * over the submission of the jobs: `progress` says which share of them is in.
 * Resolves when all are over and everything was put right, or stops early when the signal aborts.
 */
export async function storm(
  market: ChaosMarket,
  plan: readonly Fault[],
  history: HistoryWriter,
  progress: () => number,
  signal: AbortSignal,
): Promise<{ kills: Record<string, number>; others: number }> {
  const kills: Record<string, number> = { orchestrator: 0, provider: 0, database: 0 };
  let others = 0;
  const underWay = new Set<Promise<void>>();
  for (const fault of plan) {
    await pause(fault.gapMs, signal);
    await untilShare(progress, (fault.number / plan.length) * 0.9, signal);
    if (signal.aborted) break;
    await untilVictimIsUp(market, fault, signal);
    const victim = victimOf(market, fault);
    const at = Date.now();
    const over = inflict(market, fault).then((hit) => {
      history.add({
        kind: 'fault',
        at,
        number: fault.number,
        fault: fault.kind,
        victim,
        forMs: fault.forMs,
        hit,
      });
      if (!hit) return;
      if (fault.kind === 'kill-orchestrator') kills.orchestrator = (kills.orchestrator ?? 0) + 1;
      else if (fault.kind === 'kill-provider') kills.provider = (kills.provider ?? 0) + 1;
      else if (fault.kind === 'kill-database') kills.database = (kills.database ?? 0) + 1;
      else others += 1;
    });
    underWay.add(over);
    void over.finally(() => underWay.delete(over));
  }
  await Promise.all(underWay);
  return { kills, others };
}

/** A storm lasts as long as its jobs: a slow machine must not have all of it while only a few were submitted. */
async function untilShare(progress: () => number, share: number, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + waitForJobsMs;
  while (progress() < share && Date.now() < deadline && !signal.aborted) await pause(50);
}

function orchestratorOf(market: ChaosMarket, which: number) {
  const found = market.orchestrators[which % market.orchestrators.length];
  if (!found) throw new Error('a market has an orchestrator');
  return found;
}

function machineOf(market: ChaosMarket, which: number) {
  const found = market.machines[which % market.machines.length];
  if (!found) throw new Error('a market has a machine');
  return found;
}

function victimOf(market: ChaosMarket, fault: Fault): string {
  switch (fault.kind) {
    case 'kill-orchestrator':
    case 'freeze-orchestrator':
      return orchestratorOf(market, fault.which).daemon.name;
    case 'kill-provider':
    case 'freeze-provider':
      return `${machineOf(market, fault.which).name} (guard ${fault.guard})`;
    case 'cut-provider':
      return `${machineOf(market, fault.which).name} (${fault.how})`;
    case 'kill-database':
      return `database (${fault.how})`;
    case 'freeze-database':
      return 'database';
    case 'cut-database':
      return `${orchestratorOf(market, fault.which).daemon.name} (${fault.how})`;
    case 'fill-disk':
      return machineOf(market, 0).name;
  }
}

/** A kill counts only when something was killed; what is down already gets some time to come back. */
async function untilVictimIsUp(market: ChaosMarket, fault: Fault, signal: AbortSignal): Promise<void> {
  const isUp = () => {
    if (fault.kind === 'kill-orchestrator') return orchestratorOf(market, fault.which).daemon.running;
    if (fault.kind === 'kill-provider') return machineOf(market, fault.which).agent.running;
    if (fault.kind === 'kill-database') return market.database.running;
    return true;
  };
  const deadline = Date.now() + waitForVictimMs;
  while (!isUp() && Date.now() < deadline && !signal.aborted) await pause(50);
}

/** One fault from its begin to its end. False when the victim was not there to be hit. */
async function inflict(market: ChaosMarket, fault: Fault): Promise<boolean> {
  switch (fault.kind) {
    case 'kill-orchestrator':
      return await orchestratorOf(market, fault.which).daemon.kill(fault.forMs);
    case 'kill-provider': {
      const machine = machineOf(market, fault.which);
      const guard = market.guardOf(machine);
      if (fault.guard === 'dies' && guard !== null) process.kill(guard, 'SIGKILL');
      return await machine.agent.kill(fault.forMs);
    }
    case 'kill-database':
      return await market.database.kill(fault.how, fault.forMs);
    case 'freeze-orchestrator':
      return await orchestratorOf(market, fault.which).daemon.freeze(fault.forMs);
    case 'freeze-provider': {
      const machine = machineOf(market, fault.which);
      const guard = fault.guard === 'freezes' ? market.guardOf(machine) : null;
      if (guard !== null) process.kill(guard, 'SIGSTOP');
      const hit = await machine.agent.freeze(fault.forMs);
      if (guard !== null && market.guardOf(machine) === guard) process.kill(guard, 'SIGCONT');
      return hit;
    }
    case 'freeze-database':
      return await market.database.freeze(fault.forMs);
    case 'cut-provider':
      return await cut(machineOf(market, fault.which).link, fault);
    case 'cut-database':
      return await cut(orchestratorOf(market, fault.which).link, fault);
    case 'fill-disk':
      return market.fillDisk === null ? false : await market.fillDisk(fault.forMs);
  }
}

async function cut(
  link: FaultProxy,
  { how, forMs }: { how: 'reset' | 'stall' | 'refuse'; forMs: number },
): Promise<boolean> {
  if (how === 'reset') {
    link.reset();
    return true;
  }
  link.set(how === 'stall' ? 'stalled' : 'refusing');
  await pause(forMs);
  link.set('open');
  return true;
}
