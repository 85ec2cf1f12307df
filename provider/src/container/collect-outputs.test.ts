import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Header, pack } from 'tar-stream';
import { collectFromArchive, isSafePath } from './collect-outputs.ts';

const roomy = { maxFiles: 100, maxBytes: 1_000_000 };
const leave = async () => undefined;

function archiveOf(
  ...entries: (Partial<Header> & { name: string; content?: string | Buffer })[]
): Promise<Buffer> {
  const archive = pack();
  for (const { content = '', ...header } of entries) {
    if (header.type === undefined || header.type === 'file') archive.entry(header, content);
    else archive.entry({ linkname: '/etc/passwd', ...header });
  }
  archive.finalize();
  return buffer(archive);
}

test('files arrive with name, size and content', async () => {
  const big = Buffer.alloc(300_000, 'x');
  const archive = await archiveOf(
    { name: 'outputs/', type: 'directory' },
    { name: 'outputs/a', content: 'one' },
    { name: 'outputs/d/b', content: big },
  );
  const files: [string, number, number][] = [];
  const result = await collectFromArchive(Readable.from([archive]), roomy, async (path, size, content) => {
    files.push([path, size, (await buffer(content)).length]);
  });
  expect(files).toEqual([
    ['a', 3, 3],
    ['d/b', 300_000, 300_000],
  ]);
  expect(result).toEqual({ files: 2, bytes: 300_003, skipped: [], skippedCount: 0, truncated: false });
});

test('everything that is not a regular file is skipped by its kind', async () => {
  const archive = await archiveOf(
    { name: 'outputs/s', type: 'symlink' },
    { name: 'outputs/h', type: 'link' },
    { name: 'outputs/c', type: 'character-device' },
    { name: 'outputs/b', type: 'block-device' },
    { name: 'outputs/f', type: 'fifo' },
  );
  const result = await collectFromArchive(Readable.from([archive]), roomy, leave);
  expect(result.files).toBe(0);
  expect(result.skipped.map(({ reason }) => reason)).toEqual([
    'symlink',
    'hard-link',
    'device',
    'device',
    'fifo',
  ]);
});

test('hostile names are skipped, and shown without what is hostile in them', async () => {
  const names = [
    '../../etc/passwd',
    '/etc/passwd',
    'a/../../b',
    'a/./b',
    'a\u001b[2Jb',
    'a\u202eb',
    'x'.repeat(5_000),
  ];
  const archive = await archiveOf(...names.map((name) => ({ name: `outputs/${name}`, content: 'x' })));
  const result = await collectFromArchive(Readable.from([archive]), roomy, async () => {
    throw new Error('nothing of this may arrive');
  });
  expect(result).toMatchObject({ files: 0, skippedCount: names.length });
  for (const { path, reason } of result.skipped) {
    expect(reason).toBe('unsafe-name');
    expect(path).toMatch(/^[ -~]*$/);
    expect(path.length).toBeLessThan(1_300);
  }
});

test('more than the limits allow is left out: at first the file, in the end the rest', async () => {
  const kib = Buffer.alloc(1_024);
  const archive = await archiveOf(
    { name: 'outputs/fits', content: kib },
    { name: 'outputs/too-big', content: Buffer.alloc(10_240) },
    { name: 'outputs/also-fits', content: kib },
    { name: 'outputs/too-big-2', content: Buffer.alloc(10_240) },
    { name: 'outputs/never-seen', content: kib },
  );
  const all = await collectFromArchive(Readable.from([archive]), { maxFiles: 10, maxBytes: 23_552 }, leave);
  expect(all).toMatchObject({ files: 5, bytes: 23_552, truncated: false });
  const small = await collectFromArchive(Readable.from([archive]), { maxFiles: 10, maxBytes: 10_240 }, leave);
  expect(small).toMatchObject({ files: 2, bytes: 2_048, truncated: true });
  expect(small.skipped).toEqual([
    { path: 'too-big', reason: 'too-many-bytes' },
    { path: 'too-big-2', reason: 'too-many-bytes' },
  ]);
});

test('hundreds of thousands of entries are cut off', async () => {
  async function* endless(): AsyncGenerator<Buffer> {
    const one = (await archiveOf({ name: 'outputs/d/', type: 'directory' })).subarray(0, 512);
    for (;;) yield one;
  }
  const result = await collectFromArchive(Readable.from(endless()), roomy, leave);
  expect(result).toMatchObject({ files: 0, truncated: true });
});

describe('when something breaks', () => {
  test('an archive that ends in the middle is an error, for the receiver too', async () => {
    const archive = await archiveOf({ name: 'outputs/a', content: Buffer.alloc(100_000) });
    for (const end of [300, 512, 60_000]) {
      let received: unknown;
      const collecting = collectFromArchive(
        Readable.from([archive.subarray(0, end)]),
        roomy,
        async (_path, _size, content) => {
          received = await buffer(content).catch((error: unknown) => error);
        },
      );
      await expect(collecting).rejects.toMatchObject({ code: 'outputs-unreadable' });
      if (end > 512) expect(received).toBeInstanceOf(Error);
    }
  });

  test('an archive that fails is an error', async () => {
    const archive = await archiveOf({ name: 'outputs/a', content: Buffer.alloc(100_000) });
    const failing = Readable.from(
      (async function* () {
        yield archive.subarray(0, 5_000);
        throw new Error('connection lost');
      })(),
    );
    await expect(collectFromArchive(failing, roomy, leave)).rejects.toMatchObject({
      code: 'outputs-unreadable',
    });
  });

  test('bytes that are no archive are an error', async () => {
    const noise = Readable.from([Buffer.alloc(2_048, 'noise')]);
    await expect(collectFromArchive(noise, roomy, leave)).rejects.toMatchObject({
      code: 'outputs-unreadable',
    });
  });

  test('a receiver that fails early or late stops the reading with its own error', async () => {
    const archive = await archiveOf(
      { name: 'outputs/a', content: Buffer.alloc(500_000) },
      { name: 'outputs/b', content: 'x' },
    );
    for (const readFirst of [false, true]) {
      let calls = 0;
      const collecting = collectFromArchive(
        Readable.from([archive]),
        roomy,
        async (_path, _size, content) => {
          calls += 1;
          if (readFirst) await buffer(content);
          throw new Error('disk full');
        },
      );
      await expect(collecting).rejects.toThrow('disk full');
      expect(calls).toBe(1);
    }
  });

  test('a receiver that stops reading half-way does not stop the rest', async () => {
    const archive = await archiveOf(
      { name: 'outputs/a', content: Buffer.alloc(500_000) },
      { name: 'outputs/b', content: 'x' },
    );
    const seen: string[] = [];
    await collectFromArchive(Readable.from([archive]), roomy, async (path, _size, content) => {
      seen.push(path);
      for await (const _ of content) break;
    });
    expect(seen).toEqual(['a', 'b']);
  });
});

test('a safe path joined to a folder stays in that folder', () => {
  const character = fc.constantFrom(
    ...Array.from('/////....\\\\::%Cab é日\u0000\n\u001b\u007f\u0085\u202e\ufffd'),
  );
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 12 }), (path) => {
      if (!isSafePath(path)) return;
      const url = new URL(`file:///folder/${path.split('/').map(encodeURIComponent).join('/')}`);
      expect(url.pathname.startsWith('/folder/')).toBe(true);
      expect(path).not.toMatch(/[\u0000-\u001f\\]/);
    }),
    { numRuns: 5_000 },
  );
  expect(isSafePath('model/weights v2 (final).bin')).toBe(true);
  expect(isSafePath('größe/日本語.txt')).toBe(true);
});
