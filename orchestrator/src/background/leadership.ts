import { holdLock } from '@computefabric/db/advisory-lock';
import type { Logger } from '@computefabric/runtime/log';

/** Whether this process is the one of several orchestrators that does what only one should do. */
export interface Leadership {
  isLeader(): boolean;
  /** Called on every change; returns how to remove the handler. */
  onChange(handler: () => void): () => void;
  close(): Promise<void>;
}

/** The lock that the leader of a market holds; any number that nothing else in the database uses. */
const leaderLock = 0x4346_0001;

/**
 * Competes for leadership. Lost with the connection that holds it, so the death of a leader is noticed as soon
 * as its connection ends and another takes over within about a second. Two may believe to be leader for a
 * moment: that wastes work and breaks nothing, because every grant is checked under lock.
 */
export async function startLeadership(databaseUrl: string, log: Logger): Promise<Leadership> {
  const handlers = new Set<() => void>();
  const lock = await holdLock(databaseUrl, leaderLock, {
    applicationName: 'computefabric-leader',
    onChange: (held) => {
      log.info({ leader: held }, held ? 'leads the market' : 'leads the market no more');
      for (const handler of handlers) handler();
    },
    onError: (error) => log.warn({ err: error }, 'lost the connection that holds the leadership'),
  });
  return {
    isLeader: () => lock.isHeld(),
    onChange(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    close: () => lock.close(),
  };
}

/** For a process that knows to be alone. */
export const soleLeader: Leadership = {
  isLeader: () => true,
  onChange: () => () => undefined,
  close: async () => undefined,
};
