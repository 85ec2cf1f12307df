import { resolveDatabaseUrl } from '@computefabric/db/database-url';
import { migrateDatabase } from '@computefabric/db/migrate';
import { ConfigError } from '@computefabric/runtime/config';
import { Lifecycle, runUntilSignal } from '@computefabric/runtime/lifecycle';
import { createLogger, type Logger } from '@computefabric/runtime/log';
import { compose } from './compose.ts';
import { type Config, parseConfig } from './config.ts';
import { loggableError } from './http/loggable-error.ts';

// Settings, database, schema, program; then until SIGTERM or SIGINT. A start that fails says why in one
// sentence on standard error and exits 1 (2 for settings).
const config = readConfig();
const log = createLogger('orchestrator', config.logLevel).child({}, { serializers: { err: loggableError } });
const lifecycle = new Lifecycle(log);
// From here on a signal ends it in order, also in the middle of the start.
runUntilSignal(lifecycle, log);
try {
  const { url } = await resolveDatabaseUrl({
    databaseUrl: config.databaseUrl?.reveal() ?? null,
    home: config.home,
    log: (sentence) => log.info(sentence),
  });
  const { applied } = await migrateDatabase(url);
  if (applied > 0) log.info({ applied }, 'the database has the newest schema now');
  await compose(config, url, lifecycle, log);
  log.info({ host: config.http.host, port: config.http.port }, 'the orchestrator takes requests');
} catch (thrown) {
  await giveUp(thrown, log);
}

function readConfig(): Config {
  try {
    return parseConfig(process.env);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    process.stderr.write(`${thrown.message}\n`);
    process.exit(2);
  }
}

async function giveUp(thrown: unknown, log: Logger): Promise<never> {
  log.error({ err: thrown }, 'the orchestrator did not start');
  process.stderr.write(`The orchestrator did not start: ${loggableError(thrown).message}\n`);
  await lifecycle.close();
  process.exit(1);
}
