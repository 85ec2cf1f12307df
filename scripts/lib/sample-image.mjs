import { realpathSync, statSync } from 'node:fs';
import { callDocker } from './docker-api.mjs';
import { findProgram } from './find-program.mjs';
import { runCommand } from './run-command.mjs';
import { writeTar } from './tar-writer.mjs';

/**
 * An image with Node for the sample job: one that is there already, else Docker Hub's, else one
 * made of this machine's own node, so that the first job also runs where no registry is reachable.
 *
 * @param {object} options
 * @param {string} options.engineHost
 * @param {import('./progress.mjs').Step} options.step
 * @param {AbortSignal} [options.signal]
 * @param {string} [options.registryImage] For tests.
 * @param {string} [options.localImage] For tests.
 * @returns {Promise<{ ok: true, image: string, how: string } | { ok: false, reason: string }>} `how` in a
 *   few words for a person.
 */
export async function ensureSampleImage({
  engineHost,
  step,
  signal,
  registryImage = 'node:20-slim',
  localImage = 'computefabric/sample-node:20',
}) {
  for (const image of [registryImage, localImage]) {
    if (await isPresent(engineHost, image)) return { ok: true, image, how: 'already here' };
  }
  step.detail(`pulling ${registryImage}`);
  const pulled = await pull(engineHost, registryImage, step, signal);
  if (pulled.ok) return { ok: true, image: registryImage, how: 'pulled' };
  if (signal?.aborted) return { ok: false, reason: 'stopped' };
  step.note(
    `${registryImage} cannot be pulled here (${pulled.reason}); building ${localImage} from this machine’s node`,
  );
  const built = await buildFromThisMachine(engineHost, localImage, step, signal);
  if (built.ok) return { ok: true, image: localImage, how: 'built from this machine’s node' };
  return built;
}

/** @param {string} host @param {string} image */
async function isPresent(host, image) {
  const reply = await callDocker(host, `/images/${encodeURIComponent(image)}/json`, { deadlineSeconds: 10 });
  return reply.status === 200;
}

/** A registry that can be reached shows its first progress within this time. */
const firstProgressSeconds = 8;
/** Longest whole pull: about 80 MB, also on a slow line. */
const pullSeconds = 240;

/**
 * @param {string} host @param {string} image
 * @param {import('./progress.mjs').Step} step
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<{ ok: true } | { ok: false, reason: string }>}
 */
async function pull(host, image, step, signal) {
  const giveUp = new AbortController();
  // Progress of a layer, not any event: "Pulling from library/node" also comes from a stuck registry.
  let timer = setTimeout(() => giveUp.abort(), firstProgressSeconds * 1000);
  /** @type {Map<string, { current: number, total: number }>} */
  const layers = new Map();
  let problem = '';
  try {
    const reply = await callDocker(host, `/images/create?fromImage=${encodeURIComponent(image)}`, {
      method: 'POST',
      deadlineSeconds: pullSeconds,
      signal: AbortSignal.any([giveUp.signal, ...(signal === undefined ? [] : [signal])]),
      onEvent: (event) => {
        if (typeof event['error'] === 'string') problem = event['error'];
        const progress = /** @type {{ current?: number, total?: number } | undefined} */ (
          event['progressDetail']
        );
        if (typeof event['id'] !== 'string' || progress?.current === undefined) return;
        clearTimeout(timer);
        timer = setTimeout(() => giveUp.abort(), 3 * firstProgressSeconds * 1000);
        layers.set(event['id'], { current: progress.current, total: progress.total ?? 0 });
        step.detail(`pulling ${image}: ${describeLayers(layers)}`);
      },
    });
    if (reply.status === 200 && problem === '') return { ok: true };
    return { ok: false, reason: shortReason(problem === '' ? reply.text : problem) };
  } catch (error) {
    if (giveUp.signal.aborted) return { ok: false, reason: 'the registry does not answer' };
    return { ok: false, reason: shortReason(error instanceof Error ? error.message : String(error)) };
  } finally {
    clearTimeout(timer);
  }
}

/** @param {Map<string, { current: number, total: number }>} layers */
function describeLayers(layers) {
  let current = 0;
  let total = 0;
  for (const layer of layers.values()) {
    current += layer.current;
    total += layer.total;
  }
  const megabytes = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(1);
  return `${megabytes(current)} of ${megabytes(total)} MB`;
}

/** The engine wraps the cause in several layers of "failed to …: …"; the last one tells. @param {string} text */
function shortReason(text) {
  let message = text;
  try {
    message = JSON.parse(text).message ?? text;
  } catch {
    // Plain text already.
  }
  return message.split(': ').at(-1)?.trim().slice(0, 120) ?? message;
}

/**
 * Imports an image that holds this machine's node with the libraries it loads, a shell, and nothing
 * else.
 *
 * @param {string} host @param {string} image
 * @param {import('./progress.mjs').Step} step
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<{ ok: true } | { ok: false, reason: string }>}
 */
async function buildFromThisMachine(host, image, step, signal) {
  if (process.platform !== 'linux') {
    return {
      ok: false,
      reason: `an image can only be built from node on Linux; run: docker pull node:20-slim`,
    };
  }
  const entries = await imageFiles();
  const megabytes = entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.size : 0), 0) / 1e6;
  step.detail(`importing ${megabytes.toFixed(0)} MB`);
  const [repo, tag] = image.split(':');
  const query = new URLSearchParams({ fromSrc: '-', repo: repo ?? image, tag: tag ?? 'latest' });
  for (const change of [
    'ENV PATH=/usr/local/bin:/usr/bin:/bin',
    `ENV LD_LIBRARY_PATH=${unusualLibraryFolders(entries)}`,
    'CMD ["node"]',
    `LABEL computefabric.sample=node-${process.versions.node}`,
  ]) {
    if (!change.endsWith('=')) query.append('changes', change);
  }
  const reply = await callDocker(host, `/images/create?${query.toString()}`, {
    method: 'POST',
    deadlineSeconds: 120,
    contentType: 'application/x-tar',
    body: writeTar(entries),
    ...(signal === undefined ? {} : { signal }),
  });
  const failed = reply.status !== 200 || /"error"/.test(reply.text);
  return failed
    ? { ok: false, reason: `the image could not be built: ${shortReason(reply.text)}` }
    : { ok: true };
}

/** @returns {Promise<import('./tar-writer.mjs').TarEntry[]>} */
async function imageFiles() {
  /** @type {Map<string, import('./tar-writer.mjs').TarEntry>} */
  const files = new Map();
  /** @param {string} path @param {string} source */
  const add = (path, source) => {
    const real = realpathSync(source);
    files.set(path, { kind: 'file', path, mode: 0o755, source: real, size: statSync(real).size });
  };
  const node = realpathSync(process.execPath);
  add('usr/local/bin/node', node);
  for (const library of await librariesOf(node)) add(library.slice(1), library);
  for (const entry of await shellFiles()) {
    if (entry.kind === 'file') add(entry.path, entry.source);
    else files.set(entry.path, entry);
  }
  const users = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n';
  files.set('etc/passwd', { kind: 'text', path: 'etc/passwd', mode: 0o644, text: users });
  const groups = 'root:x:0:\nnogroup:x:65534:\n';
  files.set('etc/group', { kind: 'text', path: 'etc/group', mode: 0o644, text: groups });
  return [...foldersOf(files.keys()), ...files.values()];
}

/**
 * Shared libraries of a program as the loader finds them, the loader itself included.
 * @param {string} program
 * @returns {Promise<string[]>} Empty for a static program.
 */
async function librariesOf(program) {
  const answer = await runCommand('ldd', [program], { deadlineSeconds: 10 });
  const paths = new Set();
  for (const line of answer.stdout.split('\n')) {
    const path = /(?:=>\s*)?(\/\S+)\s+\(0x/.exec(line)?.[1];
    if (path !== undefined) paths.add(path);
  }
  return [...paths];
}

/**
 * `/bin/sh` and what it needs: a static busybox with all its commands where there is one, else the
 * machine's own shell.
 * @returns {Promise<({ kind: 'file', path: string, source: string } | Extract<import('./tar-writer.mjs').TarEntry, { kind: 'link' }>)[]>}
 */
async function shellFiles() {
  const busybox = findProgram('busybox');
  if (busybox !== undefined && (await librariesOf(busybox)).length === 0) {
    const list = await runCommand(busybox, ['--list'], { deadlineSeconds: 10 });
    const commands = list.stdout.split('\n').filter((name) => /^[\w.[-]+$/.test(name) && name !== 'busybox');
    return [
      { kind: 'file', path: 'bin/busybox', source: busybox },
      ...commands.map((name) => ({
        kind: /** @type {const} */ ('link'),
        path: `bin/${name}`,
        target: 'busybox',
      })),
    ];
  }
  const shell = realpathSync('/bin/sh');
  const libraries = await librariesOf(shell);
  return [
    { kind: 'file', path: 'bin/sh', source: shell },
    ...libraries.map((path) => ({ kind: /** @type {const} */ ('file'), path: path.slice(1), source: path })),
  ];
}

/**
 * Every parent folder once, parents first, plus the empty ones that programs expect.
 * @param {Iterable<string>} paths
 * @returns {import('./tar-writer.mjs').TarEntry[]}
 */
function foldersOf(paths) {
  const folders = new Set(['root', 'outputs', 'usr/bin']);
  for (const path of paths) {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) folders.add(parts.slice(0, depth).join('/'));
  }
  const ordered = [...folders].toSorted();
  return [
    ...ordered.map((path) => ({ kind: /** @type {const} */ ('folder'), path, mode: 0o755 })),
    { kind: 'folder', path: 'tmp', mode: 0o1777 },
  ];
}

/**
 * Folders that the loader does not search by itself (a node with libraries of its own).
 * @param {import('./tar-writer.mjs').TarEntry[]} entries
 */
function unusualLibraryFolders(entries) {
  const folders = new Set();
  for (const { kind, path } of entries) {
    if (kind === 'file' && /\.so(\.|$)/.test(path) && !/^(usr\/)?lib(64|32)?\//.test(path)) {
      folders.add(`/${path.slice(0, path.lastIndexOf('/'))}`);
    }
  }
  return [...folders].join(':');
}
