import { mkdir, realpath } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import { CliError } from '../errors/cli-error.ts';
import { plainText } from '../terminal/plain-text.ts';

/**
 * Where a file goes. Its path was chosen by the job, so it must not lead out of the folder.
 *
 * @throws CliError when it would.
 */
export function targetOf(path: string, folder: string): string {
  const parts = path.split(/[/\\]/);
  const odd = parts.some((part) => part === '' || part === '.' || part === '..') || isAbsolute(path);
  const file = join(folder, ...parts);
  if (odd || plainText(path) !== path || !file.startsWith(folder + sep)) {
    throw new CliError({
      code: 'cli/file',
      message: `the file "${plainText(path)}" has a name that is not safe to write`,
      exit: 'error',
    });
  }
  return file;
}

/** Makes a folder below another one; a link in it that leads elsewhere is refused. */
export async function makeFolderInside(path: string, folder: string): Promise<void> {
  await mkdir(path, { recursive: true });
  const [real, realFolder] = await Promise.all([realpath(path), realpath(folder)]);
  if (real === realFolder || real.startsWith(realFolder + sep)) return;
  throw new CliError({ code: 'cli/file', message: `${path} leads out of ${folder}`, exit: 'error' });
}
