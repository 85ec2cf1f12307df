import { ConfigError } from '@computefabric/runtime/config';
import { toError } from '@computefabric/runtime/errors';
import { Lifecycle, runUntilSignal } from '@computefabric/runtime/lifecycle';
import { createLogger, type Logger } from '@computefabric/runtime/log';
import { longestGraceSeconds } from './admission/admit.ts';
import { movingStateMs } from './agent.ts';
import { compose, drainMs } from './compose.ts';
import { parseConfig, parseHome } from './config.ts';
import { examineMachine } from './control/examine-machine.ts';
import { runOwnerCommand } from './control/owner-command.ts';
import { ReplacedError } from './control-plane/session.ts';
import { exitCodes, StartError } from './start-error.ts';

/** Closing the agent brings its tasks home: the slowest may take its whole grace time first. */
const closeMs = longestGraceSeconds * 1_000 + drainMs + movingStateMs + 20_000;

/** The agent, without a command: reads its settings, works until SIGTERM or SIGINT, leaves no container behind. */
async function main(): Promise<void> {
  const config = readSettings(parseConfig);
  const log = createLogger('provider', config.logLevel);
  const lifecycle = new Lifecycle(log, closeMs);
  const stopping = new AbortController();
  lifecycle.add('start', () => stopping.abort());
  runUntilSignal(lifecycle, log);
  try {
    const { ended } = await compose(config, { env: process.env, log, lifecycle, signal: stopping.signal });
    const end = await ended;
    // Otherwise a signal has ended it, and the lifecycle ends the process.
    if (end.kind === 'failed') fail(end.error, log);
  } catch (thrown) {
    if (!stopping.signal.aborted) fail(toError(thrown), log);
  }
}

function readSettings<T>(parse: (env: NodeJS.ProcessEnv) => T): T {
  try {
    return parse(process.env);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    process.stderr.write(`${thrown.message}\n`);
    process.exit(exitCodes.configuration);
  }
}

/** Says what the owner has to do and ends. Containers of tasks, if any, are left to the watchdog. */
function fail(error: Error, log: Logger): never {
  log.error({ err: error }, 'the agent ends');
  process.stderr.write(`${error.message}\n`);
  if (error instanceof StartError) process.exit(exitCodes[error.problem]);
  process.exit(error instanceof ReplacedError ? exitCodes['other-agent'] : 70);
}

const words = process.argv.slice(2);
if (words.length === 0) await main();
else
  process.exitCode = await runOwnerCommand(words, {
    home: readSettings(parseHome),
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    examine: (home) => examineMachine({ ...process.env, PROVIDER_HOME: home }),
  });
