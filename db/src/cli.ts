import { parseCliConfig, USAGE } from './cli-config.ts';
import { resolveDatabaseUrl, withoutPassword } from './database-url.ts';
import {
  embeddedPostgresUrl,
  removeEmbeddedPostgres,
  startEmbeddedPostgres,
  stopEmbeddedPostgres,
} from './embedded-postgres.ts';
import { migrateDatabase, migrationStatus } from './migrate.ts';

// The program behind `npm run db:migrate` and the embedded server's switch. Results go to stdout, everything
// else to stderr; exit 0: done, 1: failed, 2: wrong use, 3: `url` or `status` found no running database.
const config = parseCliConfig(process.argv.slice(2), process.env);
if ('error' in config) {
  process.stderr.write(`${config.error}\n\n${USAGE}`);
  process.exitCode = 2;
} else {
  try {
    process.exitCode = await run(config);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

async function run(config: Exclude<ReturnType<typeof parseCliConfig>, { error: string }>): Promise<number> {
  const { command, home, databaseUrl } = config;
  switch (command) {
    case 'start': {
      const server = await startEmbeddedPostgres({ home, log: say });
      say(
        server.started ? `Started the database in ${server.dataDir}.` : 'The database was already running.',
      );
      print(config.json ? JSON.stringify(server) : server.url);
      return 0;
    }
    case 'stop': {
      const { ifOnlyUsedBy } = config;
      const stopped = await stopEmbeddedPostgres(ifOnlyUsedBy === null ? { home } : { home, ifOnlyUsedBy });
      say(stopped ? 'Stopped the database.' : 'Nothing was stopped.');
      return 0;
    }
    case 'url': {
      const url = await embeddedPostgresUrl({ home });
      if (url === null) {
        say(`The embedded database of ${home} does not run.`);
        return 3;
      }
      print(url);
      return 0;
    }
    case 'remove': {
      const removed = await removeEmbeddedPostgres({ home });
      say(removed ? `Removed the database of ${home}.` : `${home} has no database.`);
      return 0;
    }
    case 'migrate': {
      const { url } = await resolveDatabaseUrl({ databaseUrl, home, log: say });
      const { applied } = await migrateDatabase(url);
      say(
        applied === 0
          ? 'The database is up to date.'
          : `Applied ${applied} migration${applied === 1 ? '' : 's'}.`,
      );
      return 0;
    }
    case 'status': {
      const url = databaseUrl ?? (await embeddedPostgresUrl({ home }));
      if (url === null) {
        say(`The embedded database of ${home} does not run.`);
        return 3;
      }
      const { applied, pending } = await migrationStatus(url);
      print(`${withoutPassword(url)}\nmigrations: ${applied} applied, ${pending} pending`);
      return 0;
    }
  }
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}

function print(result: string): void {
  process.stdout.write(`${result}\n`);
}
