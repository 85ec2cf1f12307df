import { existsSync, readFileSync } from 'node:fs';
import { formatDuration } from './format-duration.mjs';
import { rootDir } from './paths.mjs';
import { runCommand } from './run-command.mjs';

/**
 * Runs some projects of vitest.config.ts on the screen and counts what happened.
 *
 * @param {string[]} projects
 * @param {object} options
 * @param {string[]} options.folders Only test files whose path contains one of these; empty: all.
 * @param {string} options.reportFile Where vitest may write its JSON report.
 * @param {Record<string, string>} options.env
 * @param {AbortSignal} options.signal
 * @param {(text: string) => void} options.line
 * @returns {Promise<{ passed: number, failed: number, skipped: number }>} A project that cannot be
 *   loaded, or that has no test at all, counts as one failure.
 */
export async function runVitest(projects, { folders, reportFile, env, signal, line }) {
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
  return countReport(readReport(reportFile), result.ok);
}

/**
 * @typedef {object} Report The parts of vitest's JSON report that are read.
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {number} numPendingTests Skipped ones.
 * @property {number} numTodoTests
 * @property {{ status: string, assertionResults: unknown[] }[]} testResults One per file.
 *
 * @param {Report | undefined} report
 * @param {boolean} exitedWell
 */
export function countReport(report, exitedWell) {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 };
  // A file that throws while it loads has no tests in the report.
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  ).length;
  const passed = report.numPassedTests;
  let failed = report.numFailedTests + brokenFiles;
  // Also red: no test at all, or an error outside any test (an unhandled rejection).
  if (failed === 0 && (passed === 0 || !exitedWell)) failed = 1;
  return { passed, failed, skipped: report.numPendingTests + report.numTodoTests };
}

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
