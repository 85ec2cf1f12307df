import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { ensureBundles } from './bundle.mjs';
import { aptCommand, canInstallPackages, installPackages } from './lib/apt.mjs';
import { ensureChromium } from './lib/chromium.mjs';
import { ensureDockerEngine } from './lib/docker-engine.mjs';
import { findProgram } from './lib/find-program.mjs';
import { formatDuration } from './lib/format-duration.mjs';
import { ensurePackages } from './lib/install-packages.mjs';
import { ensureDashboardBuild } from './lib/next-build.mjs';
import { rootDir } from './lib/paths.mjs';
import { startPostgresCluster } from './lib/postgres-cluster.mjs';
import { ensurePostgresServer } from './lib/postgres-server.mjs';
import { createProgress } from './lib/progress.mjs';
import { runCommand } from './lib/run-command.mjs';
import { runVitest } from './lib/run-vitest.mjs';
import { typecheckAll } from './typecheck.mjs';

// `npm test`: everything, on a fresh clone too. Installs what is missing (packages; as root on Debian
// or Ubuntu also a Docker engine, a Chromium and a PostgreSQL server), runs every check and every
// test, goes on after a failure, and stops what it started.
//
//   npm test                          everything
//   npm test -- --only unit,int       only these groups
//
// The last line is `N passed, N failed` (and `, N skipped` when there are any); every check that is
// not a vitest test counts as one. The exit code is 1 when something failed or nothing ran.

/** In this order: what is quick and fails often comes first. */
const groups = /** @type {const} */ ({
  types: 'type check of the dashboard and every workspace',
  lint: 'oxlint and Biome',
  build: 'bundles of the programs and the dashboard',
  unit: 'unit and property tests',
  int: 'tests with a real PostgreSQL (the embedded one)',
  simulation: 'seeded storms over the real scheduler',
  docker: 'tests with a real Docker engine',
  journey: 'whole system: orchestrator, provider, containers, command line',
  browser: 'the dashboard in Chromium',
  postgres: 'database tests and journeys again, with the system’s PostgreSQL as DATABASE_URL',
});
/** @typedef {keyof typeof groups} Group */

/** Program → Debian package. Images are made of busybox; `script` gives a terminal; `ps` looks for leftovers; `ip` wires jobs. */
const testTools = { busybox: 'busybox-static', ps: 'procps', script: 'bsdutils', ip: 'iproute2' };

const wanted = parseArguments(process.argv.slice(2));
const startedAt = Date.now();
const progress = createProgress({ titleWidth: 34 });
const stopAsked = new AbortController();
for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(name, () => {
    if (stopAsked.signal.aborted) process.exit(130);
    progress.line(`\n${name}: stopping the tests (again to stop at once)`);
    stopAsked.abort();
  });
}
const { signal } = stopAsked;
// A reader that went away (`npm test | head`) must not keep us from stopping what we started.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const total = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const failures = [];
/** @type {string[]} */
const secondTries = [];
/** @type {(() => Promise<string | undefined | void>)[]} */
const cleanUps = [];
const scratch = mkdtempSync(`${tmpdir()}/computefabric-npm-test-`);

try {
  if (await preparePackages()) {
    await runChecks();
    await runVitestGroups();
  }
} catch (error) {
  fail('npm test itself', error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  for (const cleanUp of cleanUps.toReversed()) {
    const left = await cleanUp().catch(
      (/** @type {unknown} */ error) => `could not clean up: ${String(error)}`,
    );
    if (left) progress.line(` ${left}`);
  }
  rmSync(scratch, { recursive: true, force: true });
}

if (signal.aborted) fail('stopped', 'the run was interrupted');
const ran = total.passed + total.failed;
if (ran === 0) fail('nothing ran', 'no test was found');
progress.line();
// Last, because a reader of a long log sees its end.
for (const name of secondTries) progress.line(`Passed on its second try only: ${name}`);
for (const failure of failures) progress.line(`Failed: ${failure}`);
progress.line(`Took ${formatDuration(Date.now() - startedAt)}`);
progress.line(
  `${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
);
process.exitCode = total.failed > 0 ? 1 : 0;

async function preparePackages() {
  const step = progress.begin('Installing packages');
  const result = await ensurePackages({ step, signal });
  if (result.ok) step.done(result.installed ? '' : 'already installed');
  else fail('Installing packages', result.tail, step, result.reason);
  return result.ok;
}

async function runChecks() {
  if (wanted.has('types')) {
    const step = progress.begin('Type check');
    /** @type {string[]} */
    const problems = [];
    const { checked, failed } = await typecheckAll((project, text) => {
      step.detail(project);
      if (text !== '') problems.push(`${project}\n${text}`);
    });
    if (failed === 0 && checked > 0) pass(step, `${checked} projects`);
    else fail('Type check', problems.join('\n'), step, `${failed} of ${checked} projects`);
  }
  if (wanted.has('lint')) {
    await tool('oxlint (type-aware)', ['node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings']);
    await tool('Biome lint', ['node_modules/@biomejs/biome/bin/biome', 'lint', '--error-on-warnings']);
    await tool('Biome format', ['node_modules/@biomejs/biome/bin/biome', 'format']);
  }
  if (wanted.has('build')) {
    const bundles = progress.begin('Bundles');
    try {
      const built = await ensureBundles();
      pass(bundles, built.length === 0 ? 'fresh' : `built ${built.join(', ')}`);
    } catch (error) {
      fail('Bundles', error instanceof Error ? error.message : String(error), bundles, 'esbuild failed');
    }
    const step = progress.begin('Dashboard (next build)');
    const result = await ensureDashboardBuild({ onProgress: (text) => step.detail(text), signal });
    if (result.ok) pass(step, result.built ? '' : 'fresh');
    else fail('Dashboard (next build)', result.tail, step, 'next build failed');
  }
}

/** @param {string} name @param {string[]} args Of node. */
async function tool(name, args) {
  const step = progress.begin(name);
  const result = await runCommand(process.execPath, args, { cwd: rootDir, deadlineSeconds: 300, signal });
  if (result.ok) pass(step, '');
  else fail(name, result.stdout.slice(-20_000) || result.tail, step, `exit code ${result.code}`);
}

async function runVitestGroups() {
  await installTestTools();
  await vitestGroup(['unit', 'int'], {});
  await vitestGroup(['simulation'], {});
  const needEngine = ['docker', 'journey', 'browser', 'postgres'].some((name) =>
    wanted.has(/** @type {Group} */ (name)),
  );
  if (!needEngine || signal.aborted) return;

  const engineStep = progress.begin('Docker engine');
  const engine = await ensureDockerEngine({ step: engineStep, signal });
  if (!engine.available) {
    for (const name of /** @type {const} */ (['docker', 'journey', 'browser', 'postgres'])) {
      if (wanted.has(name)) missing(name, engine.reason, engine.command, engineStep);
    }
    return;
  }
  engineStep.done(`${engine.version}${engine.startedByUs ? ', started for this run' : ''}`);
  cleanUps.push(engine.stop);
  const env = { DOCKER_HOST: engine.host };
  if (!wanted.has('build')) await ensureBundles(); // Journeys run the bundles.

  await vitestGroup(['docker'], env);
  await vitestGroup(['journey'], env);
  if (wanted.has('browser') && !signal.aborted) {
    const step = progress.begin('Chromium');
    const chromium = await ensureChromium({ step, signal });
    if (!chromium.ok) missing('browser', chromium.reason, chromium.command, step);
    else {
      step.done(chromium.version);
      // The pages are tested as they are shipped, not in development mode.
      if (!wanted.has('build'))
        await ensureDashboardBuild({ onProgress: (text) => step.detail(text), signal });
      await vitestGroup(['browser'], { ...env, CHROMIUM_PATH: chromium.path });
    }
  }
  if (wanted.has('postgres') && !signal.aborted) {
    const step = progress.begin('PostgreSQL server');
    const server = await ensurePostgresServer({ step, signal });
    if (!server.ok) missing('postgres', server.reason, server.command, step);
    else {
      const cluster = await startPostgresCluster(server.binDir);
      cleanUps.push(cluster.stop);
      step.done(`${server.major}, own cluster`);
      // What depends on the server: the schema, the feed, and the life of a job with its crashes. The other tests
      // ask nothing more of another server than these do, and take minutes.
      await vitestGroup(
        ['postgres'],
        { ...env, TEST_DATABASE_URL: cluster.url },
        {
          projects: ['int', 'journey'],
          folders: [
            ...['drizzle-kit', 'migrate', 'listen', 'client', 'database-url'].map(
              (name) => `db/src/${name}.int`,
            ),
            ...['one-job', 'crashes'].map((name) => `tests/journeys/${name}.journey`),
          ],
        },
      );
    }
  }
}

/**
 * Small programs that tests use and that a minimal Debian lacks. Where they cannot be installed, the
 * tests that need them fail and say which one is missing.
 */
async function installTestTools() {
  const missingTools = Object.entries(testTools).filter(([program]) => findProgram(program) === undefined);
  const checksOnly = ![...wanted].some((name) => !['types', 'lint', 'build'].includes(name));
  if (missingTools.length === 0 || checksOnly) return;
  const packages = missingTools.map(([, name]) => name);
  const step = progress.begin('Tools for the tests');
  if (!canInstallPackages()) return step.warn(`some are missing: ${aptCommand(packages)}`);
  const result = await installPackages({ packages, step, signal });
  if (result.ok) step.done(packages.join(', '));
  else step.warn(`${result.reason} · ${result.command}`);
}

/**
 * @param {Group[]} names Groups that run together; those not asked for are left out.
 * @param {Record<string, string>} env
 * @param {{ projects: string[], folders: string[] }} [selection] When the group is not one project of its own name.
 */
async function vitestGroup(names, env, selection) {
  const chosen = names.filter((name) => wanted.has(name));
  if (chosen.length === 0 || signal.aborted) return;
  progress.line();
  progress.line(` ${chosen.map((name) => `${name}: ${groups[name]}`).join(' · ')}`);
  const reportFile = `${scratch}/${chosen.join('-')}.json`;
  const { projects, folders } = selection ?? { projects: chosen, folders: [] };
  const result = await runVitest(projects, { folders, reportFile, env, signal, line: progress.line });
  total.passed += result.passed;
  total.failed += result.failed;
  total.skipped += result.skipped;
  failures.push(...result.failures);
  secondTries.push(...result.secondTries);
}

/** @param {import('./lib/progress.mjs').Step} step @param {string} text */
function pass(step, text) {
  total.passed += 1;
  step.done(text);
}

/**
 * @param {string} name @param {string} details
 * @param {import('./lib/progress.mjs').Step} [step] @param {string} [summary]
 */
function fail(name, details, step, summary = '') {
  total.failed += 1;
  failures.push(name);
  step?.fail(summary);
  for (const line of details.trimEnd().split('\n')) progress.line(`     ${line}`);
}

/**
 * A group that cannot run counts as one failure: a machine without Docker must not look green.
 * @param {Group} name @param {string} reason @param {string} command
 * @param {import('./lib/progress.mjs').Step} step
 */
function missing(name, reason, command, step) {
  fail(
    name,
    `${name} tests cannot run: ${reason}\nrun this, then npm test again:\n  ${command}`,
    step,
    reason,
  );
}

/** @param {string[]} args @returns {Set<Group>} */
function parseArguments(args) {
  const known = /** @type {Group[]} */ (Object.keys(groups));
  const list = args[0] === '--only' ? args[1] : args[0]?.startsWith('--only=') ? args[0].slice(7) : undefined;
  if (args.length === 0) return new Set(known);
  const asked = (list ?? '').split(',').filter((name) => name !== '');
  const unknown = asked.filter((name) => !known.some((group) => group === name));
  if (asked.length === 0 || unknown.length > 0) {
    if (unknown.length > 0) console.error(`error: there is no group ${unknown.join(', ')}`);
    console.error('usage: npm test [-- --only GROUP,GROUP]\n');
    for (const name of known) console.error(`  ${name.padEnd(9)} ${groups[name]}`);
    process.exit(2);
  }
  return new Set(known.filter((group) => asked.includes(group)));
}
