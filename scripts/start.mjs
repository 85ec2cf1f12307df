import { existsSync } from 'node:fs';
import { createMarketRun } from './lib/market-run.mjs';
import { rootDir } from './lib/paths.mjs';
import { createProgress } from './lib/progress.mjs';
import { StartError } from './lib/start-error.mjs';

// `npm start`: one local market from a fresh clone, up until Ctrl-C. `npm run demo` (--demo): the
// same, and it ends by itself: exit code 0 only when the sample job succeeded and its bill is settled.
//
//   npm start                 first start: everything, and the sample job
//   npm start -- --sample     run the sample job again (once it has succeeded, a start leaves it out)
//   npm start -- --no-sample  leave it out
//
// Plain Node and nothing else: this runs before any package is installed. Settings come from the
// environment and from the file .env (see .env.example); the environment wins:
//   COMPUTEFABRIC_HOME       state: database, logs, keys, results    <checkout>/.computefabric
//   PORT                     dashboard                               3000
//   ORCHESTRATOR_PORT        API                                     4000
//   DATABASE_URL             a PostgreSQL 15 or newer of yours       the embedded one
//   DOCKER_HOST              a Docker engine of yours                the machine's
//   PROVIDER_SIMULATED_GPUS  GPUs to offer that are not there        two, on a machine without nvidia-smi

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`error: Node 20.19 or newer is needed; this is ${process.version}`);
  process.exit(1);
}
const options = ['--demo', '--sample', '--no-sample'];
const flags = process.argv.slice(2);
const unknown = flags.filter((flag) => !options.includes(flag));
if (unknown.length > 0) {
  console.error(`error: unknown option ${unknown.join(' ')}; there are ${options.join(', ')}`);
  process.exit(2);
}
if (existsSync(`${rootDir}/.env`)) process.loadEnvFile(`${rootDir}/.env`);
// A terminal that went away must not keep us from stopping what we started.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const demo = flags.includes('--demo');
const progress = createProgress({ total: 9 });
const stopAsked = new AbortController();
const { signal } = stopAsked;
const run = createMarketRun({
  progress,
  signal,
  demo,
  sample: demo || flags.includes('--sample') ? 'always' : flags.includes('--no-sample') ? 'never' : 'once',
});

for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(name, () => {
    if (signal.aborted) {
      progress.line(' Ending everything at once.');
      run.kill();
      process.exit(130);
    }
    progress.pause();
    progress.line();
    stopAsked.abort();
  });
}

let exitCode = 1;
try {
  const { sampleSucceeded } = await run.start();
  if (demo) exitCode = sampleSucceeded ? 0 : 1;
  else {
    await untilAborted();
    exitCode = 0;
  }
} catch (error) {
  progress.pause();
  if (signal.aborted) exitCode = 130;
  else if (error instanceof StartError) {
    if (error.details !== '') progress.line(error.details.replaceAll(/^/gm, '     '));
    progress.line(`\nerror: ${error.message}`);
  } else {
    progress.line(error instanceof Error ? error.stack : String(error));
  }
} finally {
  await run.stop();
}
process.exit(exitCode);

/** @returns {Promise<void>} */
function untilAborted() {
  return new Promise((resolve) => {
    // Keeps Node awake also when every program has given up: Ctrl-C ends this, nothing else.
    const awake = setInterval(() => {}, 60_000);
    const end = () => {
      clearInterval(awake);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
