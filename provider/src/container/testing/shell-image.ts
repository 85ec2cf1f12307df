import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';

/** A layer with a shell and the usual small programs: Debian's static busybox and a link for each of its parts. */
export async function shellLayer(extra: Record<string, string> = {}): Promise<Buffer> {
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (!busybox) throw new Error('these tests need busybox: apt-get install busybox-static');
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n');
  const archive = pack();
  archive.entry({ name: 'bin/', type: 'directory', mode: 0o755 });
  archive.entry({ name: 'tmp/', type: 'directory', mode: 0o1777 });
  archive.entry({ name: 'bin/busybox', mode: 0o755 }, readFileSync(busybox));
  for (const applet of applets.filter((name) => /^[\w.-]+$/.test(name) && name !== 'busybox')) {
    archive.entry({ name: `bin/${applet}`, type: 'symlink', linkname: 'busybox' });
  }
  for (const [name, content] of Object.entries(extra)) archive.entry({ name, mode: 0o755 }, content);
  archive.finalize();
  return buffer(archive);
}

/** A layer with one file of bytes that no compression makes smaller and no engine has seen before. */
export function weightLayer(sizeBytes: number): Promise<Buffer> {
  return layerOf('weights.bin', randomBytes(sizeBytes));
}

/** An archive with one file. */
export async function layerOf(name: string, content: string | Buffer): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name }, content);
  archive.finalize();
  return buffer(archive);
}

/**
 * Makes an image of one layer.
 *
 * @param changes lines of a Dockerfile such as `ENV A=b` or `VOLUME /data`
 */
export async function importImage(
  client: Docker,
  name: string,
  layer: Buffer,
  changes: readonly string[] = [],
): Promise<void> {
  const [repo, tag] = name.split(':');
  const answer = await client.importImage(Readable.from([layer]), { repo, tag, changes: [...changes] });
  const said = await text(Readable.from(answer));
  if (said.includes('"error"')) throw new Error(`no test image: ${said}`);
}
