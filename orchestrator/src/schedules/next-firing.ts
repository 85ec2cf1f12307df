import { Cron } from 'croner';

/**
 * The first moment after `after` that a cron line names in a time zone; null when there is none. A local time that
 * a clock change skips fires at the change, one that comes twice fires once.
 *
 * @throws CronError when line or time zone cannot be read.
 */
export function nextFiring(cron: string, timezone: string, after: Date): Date | null {
  try {
    // `legacyMode` is crontab's rule: with both a day of the month and a day of the week, either is enough.
    return new Cron(cron, { timezone, legacyMode: true, mode: '5-part' }).nextRun(after);
  } catch (thrown) {
    throw new CronError(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** A cron line or time zone that cannot be read; the message says why. */
export class CronError extends Error {
  override readonly name = 'CronError';
}
