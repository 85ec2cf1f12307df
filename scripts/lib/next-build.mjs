import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { endNoted } from './leftovers.mjs';
import { withLock } from './lock-file.mjs';
import { checkoutStateDir, rootDir } from './paths.mjs';
import { runCommand } from './run-command.mjs';

/**
 * Builds the dashboard when its sources changed since the last build. The result (.next) belongs to
 * the checkout: of two copies that start together one builds and the other waits.
 *
 * @param {object} options
 * @param {(text: string) => void} options.onProgress Newest line of the build.
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<{ ok: true, built: boolean } | { ok: false, tail: string }>}
 */
export async function ensureDashboardBuild({ onProgress, signal }) {
  const onWait = (/** @type {{ pid: number }} */ owner) =>
    onProgress(`process ${owner.pid} is building the dashboard`);
  return withLock(`${checkoutStateDir}/next-build.lock`, { deadlineSeconds: 600, onWait }, async () => {
    // The build of a run that was killed goes on by itself, and two builds would mix their files.
    await endNoted(noteFile);
    const hash = hashOfSources();
    if (existsSync(`${rootDir}/.next/BUILD_ID`) && readIfThere(stampFile) === hash) {
      return { ok: true, built: false };
    }
    rmSync(stampFile, { force: true });
    const result = await runCommand(process.execPath, ['node_modules/next/dist/bin/next', 'build'], {
      cwd: rootDir,
      env: { NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' },
      deadlineSeconds: 600,
      noteFile,
      onLine: onProgress,
      ...(signal === undefined ? {} : { signal }),
    });
    if (!result.ok) return { ok: false, tail: result.tail };
    writeFileSync(stampFile, hash);
    return { ok: true, built: true };
  });
}

const noteFile = `${checkoutStateDir}/next-build.json`;
/** Inside .next, so that it goes when the build goes. */
const stampFile = `${rootDir}/.next/computefabric-sources`;

/** Everything that the build reads. A new root folder that the dashboard imports belongs here. */
const sources = [
  'app',
  'actions',
  'components',
  'lib',
  'types',
  'public',
  'db/src',
  'packages',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.base.json',
];

/** By content and not by time: a fresh clone and a switched branch have new times. */
function hashOfSources() {
  const hash = createHash('sha256').update(process.version);
  // next.config.ts, proxy.ts and their like; the other tools' settings do not reach the build.
  const rootFiles = readdirSync(rootDir).filter(
    (name) => /\.(ts|mjs)$/.test(name) && !/^(vitest|drizzle)\.|\.d\.ts$/.test(name),
  );
  for (const path of [...sources, ...rootFiles].toSorted()) addToHash(hash, path);
  return hash.digest('hex');
}

/** @param {import('node:crypto').Hash} hash @param {string} path Relative to the root. */
function addToHash(hash, path) {
  const absolute = `${rootDir}/${path}`;
  if (!existsSync(absolute)) return;
  let entries;
  try {
    entries = readdirSync(absolute);
  } catch {
    hash.update(`\0${path}\0`).update(readFileSync(absolute)); // Not a folder.
    return;
  }
  for (const entry of entries.toSorted()) {
    if (entry === 'node_modules' || entry === 'dist' || /\.test\.tsx?$/.test(entry)) continue;
    addToHash(hash, `${path}/${entry}`);
  }
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
