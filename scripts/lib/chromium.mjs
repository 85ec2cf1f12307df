import { existsSync } from 'node:fs';
import { aptCommand, installPackages, isDebian } from './apt.mjs';
import { findProgram } from './find-program.mjs';
import { runCommand } from './run-command.mjs';

/**
 * Finds a Chromium or Chrome that starts, or installs Debian's as root.
 *
 * @param {object} options
 * @param {import('./progress.mjs').Step} options.step
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<{ ok: true, path: string, version: string } | { ok: false, reason: string, command: string }>}
 */
export async function ensureChromium({ step, signal }) {
  const found = await findChromium();
  if (found !== undefined) return { ok: true, ...found };
  step.note('No Chromium is installed. Installing the package chromium now (about 300 MB on disk).');
  const result = await installPackages({
    packages: chromiumPackages,
    step,
    ...(signal === undefined ? {} : { signal }),
  });
  const installed = result.ok ? await findChromium() : undefined;
  if (installed !== undefined) return { ok: true, ...installed };
  return {
    ok: false,
    // Ubuntu's package is a stub that downloads a snap, which does not start in many places.
    reason: result.ok ? 'the installed Chromium does not start' : result.reason,
    command: isDebian() ? aptCommand(chromiumPackages) : 'CHROMIUM_PATH=/path/to/chrome npm test',
  };
}

/** Without a font every text is a row of boxes, and clicks by text still work but pictures do not. */
const chromiumPackages = ['chromium', 'fonts-liberation'];

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome'];
const macPaths = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** @returns {Promise<{ path: string, version: string } | undefined>} The first that tells its version. */
async function findChromium() {
  const explicit = process.env.CHROMIUM_PATH;
  const candidates =
    explicit === undefined || explicit === ''
      ? [...names.map((name) => findProgram(name)), ...macPaths.filter((path) => existsSync(path))]
      : [explicit];
  for (const path of candidates) {
    if (path === undefined) continue;
    const answer = await runCommand(path, ['--version', '--no-sandbox'], { deadlineSeconds: 30 });
    if (answer.ok) return { path, version: answer.stdout.trim() };
  }
  return undefined;
}
