import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findMigrationsFolder } from './migrate.ts';

const COMMANDS = ['start', 'stop', 'url', 'migrate', 'status', 'remove'] as const;
type Command = (typeof COMMANDS)[number];

export const USAGE = `Usage: db <command> [options]

  start     start the embedded database unless it runs; print its URL
  stop      stop the embedded database
  url       print the URL of the running embedded database
  migrate   bring the database (DATABASE_URL, else the embedded one) to the newest schema
  status    say which database is used and whether migrations are pending
  remove    stop the embedded database and delete all its data (needs --yes)

  --home DIR               where the embedded database lives (COMPUTEFABRIC_HOME, else .computefabric)
  --json                   start: print {"url","dataDir","started"}
  --if-only-used-by NAME   stop: leave it running while a program of another application name is connected
  --yes                    remove: yes, delete the data
`;

export interface CliConfig {
  command: Command;
  home: string;
  databaseUrl: string | null;
  json: boolean;
  ifOnlyUsedBy: string | null;
}

/** Reads arguments and environment of the database program. An empty variable counts as absent. */
export function parseCliConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): CliConfig | { error: string } {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
  const [name, ...rest] = parsed.positionals;
  const command = COMMANDS.find((known) => known === name);
  if (command === undefined)
    return { error: name === undefined ? 'Say what to do.' : `Unknown command: ${name}` };
  if (rest.length > 0) return { error: `Unexpected argument: ${rest[0]}` };
  if (command === 'remove' && !parsed.values.yes)
    return { error: 'This deletes all data. Repeat it with --yes.' };
  return {
    command,
    home: resolve(parsed.values.home ?? (env.COMPUTEFABRIC_HOME || defaultHome())),
    databaseUrl: env.DATABASE_URL || null,
    json: parsed.values.json,
    ifOnlyUsedBy: parsed.values['if-only-used-by'] ?? null,
  };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      home: { type: 'string' },
      json: { type: 'boolean', default: false },
      'if-only-used-by': { type: 'string' },
      yes: { type: 'boolean', default: false },
    },
  });
}

/** `.computefabric` at the root of the checkout, which is where `db/migrations` is. */
const defaultHome = (): string => join(dirname(dirname(findMigrationsFolder())), '.computefabric');
