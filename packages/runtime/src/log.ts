import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, destination, type Logger as PinoLogger, pino } from 'pino';

export type Logger = Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'child'>;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

const context = new AsyncLocalStorage<Record<string, unknown>>();

/**
 * The program's logger: one JSON line per unit of work, written when it ends. Ids put into `withLogContext`
 * are on every line below it. Output of containers is customer data and never comes here.
 */
export function createLogger(
  program: string,
  level: LogLevel = 'info',
  sink: DestinationStream = destination({ fd: 1, sync: true }),
): Logger {
  return pino(
    {
      level,
      base: { program },
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // A copy: the logger merges each line's own fields into what it is given.
      mixin: () => ({ ...context.getStore() }),
      // A bearer in a header is the one secret that could get near a log line by accident.
      redact: {
        paths: ['headers.authorization', '*.headers.authorization', 'authorization'],
        censor: '[redacted]',
      },
    },
    sink,
  );
}

/** Runs `work` with these ids on every log line written inside it. */
export function withLogContext<T>(ids: Record<string, unknown>, work: () => T): T {
  return context.run({ ...context.getStore(), ...ids }, work);
}

/** Adds ids to the log lines of the unit of work that is running; does nothing outside of one. */
export function addLogContext(ids: Record<string, unknown>): void {
  const store = context.getStore();
  if (store) Object.assign(store, ids);
}

/** The ids of the unit of work that is running, as they are and as they will be; undefined outside of one. */
export function logContext(): Readonly<Record<string, unknown>> | undefined {
  return context.getStore();
}

/** A logger that writes nothing, for tests. */
export const silentLogger: Logger = pino({ level: 'silent' });
