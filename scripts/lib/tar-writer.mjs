import { createReadStream } from 'node:fs';

/**
 * Writes a tar archive (ustar) as a stream: enough to hand an image's files to the Docker engine.
 * Everything belongs to root and has the same time, so equal files give an equal archive.
 *
 * @typedef {{ kind: 'folder', path: string, mode: number }
 *   | { kind: 'link', path: string, target: string }
 *   | { kind: 'text', path: string, mode: number, text: string }
 *   | { kind: 'file', path: string, mode: number, source: string, size: number }} TarEntry
 *   `path` is relative, without a leading slash, at most 100 bytes; `size` in bytes.
 *
 * @param {Iterable<TarEntry>} entries
 * @returns {AsyncGenerator<Uint8Array>}
 */
export async function* writeTar(entries) {
  for (const entry of entries) {
    switch (entry.kind) {
      case 'folder':
        yield header({ path: `${entry.path}/`, mode: entry.mode, size: 0, type: '5' });
        break;
      case 'link':
        yield header({ path: entry.path, mode: 0o777, size: 0, type: '2', target: entry.target });
        break;
      case 'text': {
        const content = Buffer.from(entry.text);
        yield header({ path: entry.path, mode: entry.mode, size: content.length, type: '0' });
        yield content;
        yield padding(content.length);
        break;
      }
      case 'file': {
        yield header({ path: entry.path, mode: entry.mode, size: entry.size, type: '0' });
        let written = 0;
        for await (const chunk of createReadStream(entry.source, { highWaterMark: 1 << 20 })) {
          written += chunk.length;
          yield chunk;
        }
        if (written !== entry.size) throw new Error(`${entry.source} changed while it was being read`);
        yield padding(entry.size);
        break;
      }
    }
  }
  yield Buffer.alloc(2 * blockSize);
}

const blockSize = 512;

/** @param {number} size */
function padding(size) {
  return Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
}

/**
 * @param {{ path: string, mode: number, size: number, type: '0' | '2' | '5', target?: string }} fields
 */
function header({ path, mode, size, type, target = '' }) {
  if (Buffer.byteLength(path) > 100 || Buffer.byteLength(target) > 100) {
    throw new Error(`path too long for a tar header: ${path}`);
  }
  const block = Buffer.alloc(blockSize);
  block.write(path, 0);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108); // Owner and group: root.
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136); // Time: 1970.
  block.write('        ', 148); // The checksum is computed as if its own field were spaces.
  block.write(type, 156);
  block.write(target, 157);
  block.write('ustar\u000000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\u0000 `, 148);
  return block;
}

/** @param {number} value @param {number} digits */
function octal(value, digits) {
  return value.toString(8).padStart(digits, '0');
}
