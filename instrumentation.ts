import { toError } from '@computefabric/runtime/errors';
import { getConfig } from '@/lib/config.ts';
import { log } from '@/lib/log.ts';

/**
 * Runs once when the server starts. With wrong settings it ends the program and says which: Next itself would
 * go on and answer every page with an error.
 */
export function register(): void {
  try {
    getConfig();
  } catch (thrown) {
    log.error({ reason: toError(thrown).message }, 'the dashboard cannot start');
    // By way of globalThis: Next compiles this file for its edge runtime too, which we do not use, and warns of
    // what that one lacks.
    globalThis.process.exit(1);
  }
}
