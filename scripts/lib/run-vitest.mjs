import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { formatDuration } from './format-duration.mjs';
import { rootDir } from './paths.mjs';
import { runCommand } from './run-command.mjs';

/**
 * Runs some projects of vitest.config.ts on the screen and counts what happened. Where few files failed, these
 * run once more, alone: on a busy machine a deadline may pass that is met on a quiet one. What passes then is named
 * in `secondTries`, because a test that needs luck has to be mended; what fails again has failed.
 *
 * @param {string[]} projects
 * @param {object} options
 * @param {string[]} options.folders Only test files whose path contains one of these; empty: all.
 * @param {string} options.reportFile Where vitest may write its JSON report.
 * @param {Record<string, string>} options.env
 * @param {AbortSignal} options.signal
 * @param {(text: string) => void} options.line
 * @returns {Promise<Count & { secondTries: string[] }>} A project that cannot be loaded, or that has no test
 *   at all, counts as one failure.
 */
export async function runVitest(projects, { folders, reportFile, env, signal, line }) {
  const first = await runOnce(projects, { folders, reportFile, env, signal, line });
  const again = filesWorthASecondTry(first.report);
  if (first.report === undefined || again.length === 0 || signal.aborted)
    return { ...countReport(first.report, first.ok), secondTries: [] };

  const failedFirst = failuresIn(first.report);
  line(`     second try, alone: ${again.join(', ')}`);
  const second = await runOnce(projects, {
    folders: again,
    reportFile: `${reportFile}.2`,
    env,
    signal,
    line,
  });
  const rest = countReport(withoutFiles(first.report, again), true);
  const retried = countReport(second.report, second.ok);
  const failures = [...rest.failures, ...retried.failures];
  return {
    passed: rest.passed + retried.passed,
    failed: rest.failed + retried.failed,
    skipped: rest.skipped + retried.skipped,
    failures,
    secondTries: retried.failed === 0 ? failedFirst : [],
  };
}

/**
 * @param {string[]} projects
 * @param {Parameters<typeof runVitest>[1]} options
 * @returns {Promise<{ report: Report | undefined, ok: boolean }>}
 */
async function runOnce(projects, { folders, reportFile, env, signal, line }) {
  const live = process.stdout.isTTY === true;
  const heartbeat = live ? undefined : silenceBreaker(line);
  const result = await runCommand(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      ...folders,
      ...projects.flatMap((name) => ['--project', name]),
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${reportFile}`,
    ],
    {
      cwd: rootDir,
      env,
      // A group of tests that hangs in spite of its own time limits must not hang CI.
      deadlineSeconds: 1200,
      signal,
      output: live ? 'inherit' : 'pipe',
      ...(heartbeat === undefined ? {} : { onLine: heartbeat.onLine }),
    },
  );
  heartbeat?.stop();
  return { report: readReport(reportFile), ok: result.ok };
}

/**
 * @typedef {object} TestResult
 * @property {string} status
 * @property {string} fullName
 * @property {string[]} [failureMessages]
 *
 * @typedef {object} FileResult
 * @property {string} name Absolute path.
 * @property {string} status
 * @property {string} [message] Why the file could not be loaded.
 * @property {TestResult[]} assertionResults
 *
 * @typedef {object} Report The parts of vitest's JSON report that are read.
 * @property {FileResult[]} testResults One per file.
 *
 * @typedef {object} Count
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 * @property {string[]} failures File, test and the first lines of the message, of each that failed.
 */

/**
 * @param {Report | undefined} report
 * @param {boolean} exitedWell
 * @returns {Count}
 */
export function countReport(report, exitedWell) {
  if (report === undefined)
    return { passed: 0, failed: 1, skipped: 0, failures: ['vitest ended without a report'] };
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const failures = failuresIn(report);
  // Also red: no test at all, or an error outside any test (an unhandled rejection).
  if (failures.length === 0 && passed === 0) failures.push('no test was found');
  else if (failures.length === 0 && !exitedWell) failures.push('an error outside of every test, see above');
  const failedTests = tests.filter(({ status }) => status === 'failed').length;
  return { passed, failed: failures.length, skipped: tests.length - passed - failedTests, failures };
}

/**
 * A few files, each of which was loaded: many failures, and what cannot be loaded, are nobody's bad luck.
 * @param {Report | undefined} report
 * @returns {string[]} Paths from the root.
 */
export function filesWorthASecondTry(report) {
  const failed = report?.testResults.filter(({ status }) => status === 'failed') ?? [];
  const loaded = failed.every(({ assertionResults }) =>
    assertionResults.some(({ status }) => status === 'failed'),
  );
  return failed.length <= 3 && loaded ? failed.map(({ name }) => fromRoot(name)) : [];
}

/** @param {Report} report @returns {string[]} */
function failuresIn(report) {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((result) => result.status === 'failed');
    // A file that throws while it loads has no failed tests in the report.
    if (failed.length === 0 && status === 'failed') return [`${fromRoot(name)}: ${beginning(message ?? '')}`];
    return failed.map(
      ({ fullName, failureMessages }) =>
        `${fromRoot(name)} > ${fullName}: ${beginning(failureMessages?.[0] ?? '')}`,
    );
  });
}

/** @param {Report} report @param {string[]} files @returns {Report} */
function withoutFiles(report, files) {
  return { testResults: report.testResults.filter(({ name }) => !files.includes(fromRoot(name))) };
}

/** @param {string} path */
const fromRoot = (path) => relative(rootDir, path);

/** @param {string} message */
const beginning = (message) => message.trim().split('\n').slice(0, 3).join(' ').slice(0, 600);

/** @param {string} path @returns {Report | undefined} undefined when vitest died before writing it. */
function readReport(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

/** Without a terminal vitest is silent while a long test runs. @param {(text: string) => void} line */
function silenceBreaker(line) {
  const startedAt = Date.now();
  let lastAt = startedAt;
  const timer = setInterval(() => {
    if (Date.now() - lastAt < 5000) return;
    lastAt = Date.now();
    line(`     … ${formatDuration(Date.now() - startedAt)}`);
  }, 1000);
  return {
    stop: () => clearInterval(timer),
    onLine: (/** @type {string} */ text) => {
      lastAt = Date.now();
      if (!text.startsWith('JSON report written')) line(text);
    },
  };
}
