import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@computefabric/runtime/log';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { FakeDriver, FakeEngine } from '../container/fake-driver.ts';
import { chooseEvictions } from './choose-evictions.ts';
import { type ImageRules, PulledImages } from './pulled-images.ts';

const root = mkdtempSync(join(tmpdir(), 'cf-images-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let engine: FakeEngine;
let homes = 0;
beforeEach(() => {
  homes += 1;
  engine = new FakeEngine();
  for (const name of ['a', 'b', 'c', 'd'])
    engine.registry.set(`${name}:1`, { kind: 'image', image: { sizeBytes: 100, program: null } });
  engine.images.set('owners:1', { sizeBytes: 1_000, program: null });
});

function open(
  rules: Partial<ImageRules> = {},
  askSize = (_reference: string): Promise<number | null> => Promise.resolve(null),
): Promise<PulledImages> {
  return PulledImages.open({
    path: join(root, `${homes}.json`),
    rules: { budgetBytes: 250, mostBytes: 1_000, pins: [], prepull: true, ...rules },
    driver: new FakeDriver(engine, 'agent'),
    log: silentLogger,
    askSize,
    betweenTries: { baseMs: 1, maxMs: 1 },
  });
}

const obtain = async (images: PulledImages, ...references: string[]) => {
  for (const each of references) await images.obtain(each, { deadlineSeconds: 10 });
};
const here = () => [...engine.images.keys()].toSorted();

describe('images that the agent has pulled', () => {
  test('give way when they do not fit, the one first that was used longest ago; the owner’s never do', async () => {
    const images = await open();
    await obtain(images, 'a:1', 'b:1', 'owners:1', 'a:1', 'c:1');
    expect(here()).toEqual(['a:1', 'c:1', 'owners:1']);
    expect(images.names).toEqual(expect.arrayContaining(['a:1', 'c:1', 'owners:1']));
    expect(images.bytes).toBe(200);
  });

  test('are known after a restart; without the list of them none is removed', async () => {
    await obtain(await open(), 'a:1', 'b:1');
    const again = await open({ budgetBytes: 100 });
    await again.tidy();
    expect(here()).toEqual(['b:1', 'owners:1']);
    rmSync(join(root, `${homes}.json`));
    const forgetful = await open({ budgetBytes: 0 });
    await forgetful.tidy();
    expect(here()).toEqual(['b:1', 'owners:1']);
  });

  test('stay while a task needs them, and when they are pinned, however little room there is', async () => {
    const images = await open({ budgetBytes: 0, pins: ['b:1'] });
    images.inUse = () => ['a:1'];
    await obtain(images, 'a:1', 'b:1', 'c:1');
    expect(here()).toEqual(['a:1', 'b:1', 'owners:1']);
    images.inUse = () => [];
    await images.tidy();
    expect(here()).toEqual(['b:1', 'owners:1']);
  });

  test('are not touched where somebody has given the name to another image meanwhile', async () => {
    const images = await open({ budgetBytes: 0 });
    images.inUse = () => ['a:1'];
    await obtain(images, 'a:1');
    engine.images.delete('a:1');
    images.inUse = () => [];
    await images.tidy();
    expect(images.bytes).toBe(0);
    expect(here()).toEqual(['owners:1']);
  });

  test('an image that is too large is not pulled, and says so', async () => {
    const images = await open({ mostBytes: 99 });
    await expect(obtain(images, 'a:1')).rejects.toMatchObject({ code: 'image-too-large' });
    expect(here()).toEqual(['owners:1']);
  });

  test('a job is not taken whose image is said to be too large; one that is here, or of unknown size, is', async () => {
    const sizes = new Map([
      ['a:1', 1_001],
      ['b:1', 1_000],
    ]);
    const images = await open({}, (reference) => Promise.resolve(sizes.get(reference) ?? null));
    const refusal = (reference: string) => images.refusal(reference, AbortSignal.timeout(1_000));
    expect(await refusal('a:1')).toBe('its image has 1.0 kB to fetch; this machine takes 1.0 kB');
    for (const reference of ['b:1', 'c:1', 'owners:1']) expect(await refusal(reference)).toBeNull();
    await obtain(images, 'a:1');
    expect(await refusal('a:1')).toBeNull();
  });

  test('a registry that does not answer for a moment is asked again, one that refuses is not', async () => {
    const images = await open();
    let asked = 0;
    const image = engine.registry.get('a:1');
    engine.registry.get = (name) => {
      asked += 1;
      if (name === 'b:1') return { kind: 'failure', code: 'pull-denied' };
      return asked < 3 ? { kind: 'failure', code: 'registry-unreachable' } : image;
    };
    await obtain(images, 'a:1');
    expect(asked).toBe(3);
    await expect(obtain(images, 'b:1')).rejects.toMatchObject({ code: 'pull-denied' });
    expect(asked).toBe(4);
  });

  test('a full disk makes room by what was used longest ago', async () => {
    const images = await open({ budgetBytes: 1_000 });
    await obtain(images, 'a:1', 'b:1');
    const image = engine.registry.get('c:1');
    engine.registry.get = () => (engine.images.has('a:1') ? { kind: 'failure', code: 'disk-full' } : image);
    await obtain(images, 'c:1');
    expect(here()).toEqual(['b:1', 'c:1', 'owners:1']);
  });
});

describe('an image that was pulled with a login', () => {
  const login = { username: 'somebody', password: 'secret' };
  const get = (images: PulledImages, reference: string, withLogin = true) =>
    images.obtain(reference, { deadlineSeconds: 10, ...(withLogin ? { login } : {}) });

  test('is used by nobody without one, by whatever name, and asked for at its registry each time', async () => {
    const images = await open();
    images.inUse = () => ['a:1'];
    const { id } = await get(images, 'a:1');
    for (const reference of ['a:1', id])
      await expect(get(images, reference, false)).rejects.toMatchObject({ code: 'pull-denied' });
    expect((await get(images, 'a:1')).id).toBe(id);
    engine.registry.set('a:1', { kind: 'failure', code: 'pull-denied' });
    await expect(get(images, 'a:1')).rejects.toMatchObject({ code: 'pull-denied' });
    // Also after a restart.
    const again = await open();
    await expect(get(again, 'a:1', false)).rejects.toMatchObject({ code: 'pull-denied' });
  });

  test('goes when no task needs it, pinned or not, and its name is told to nobody', async () => {
    const images = await open({ pins: ['a:1'] });
    images.inUse = () => ['a:1'];
    await get(images, 'a:1');
    await images.tidy();
    expect(here()).toContain('a:1');
    expect(images.names).toEqual(['owners:1']);
    images.inUse = () => [];
    await images.tidy();
    expect(here()).toEqual(['owners:1']);
  });

  test('that was here before stays what it was: nobody needs a login for it, and it stays', async () => {
    const images = await open();
    await get(images, 'owners:1');
    await get(images, 'owners:1', false);
    await images.tidy();
    expect(here()).toEqual(['owners:1']);
  });
});

describe('images that many ask for', () => {
  test('are pulled one at a time while there is nothing else to do, as many as fit, and none goes for them', async () => {
    const images = await open();
    await obtain(images, 'd:1');
    images.suggest(['a:1', 'b:1', 'c:1']);
    for (let turns = 0; turns < 5; turns += 1) await images.pullAhead();
    expect(here()).toEqual(['a:1', 'd:1', 'owners:1']);
    expect(images.bytes).toBe(200);
  });

  test('are not pulled where the owner does not want that, nor tried again and again', async () => {
    const off = await open({ prepull: false });
    off.suggest(['a:1']);
    await off.pullAhead();
    expect(here()).toEqual(['owners:1']);
    const images = await open();
    let asked = 0;
    engine.registry.get = () => {
      asked += 1;
      return { kind: 'failure', code: 'registry-unreachable' };
    };
    images.suggest(['a:1']);
    for (let turns = 0; turns < 5; turns += 1) await images.pullAhead();
    expect(asked).toBe(1);
  });

  test('make room on the line for a task that comes', async () => {
    engine.registry.set('a:1', { kind: 'silence' });
    const images = await open();
    images.suggest(['a:1']);
    const pulling = images.pullAhead();
    const stopping = setInterval(() => images.yieldToTask(), 1);
    await pulling;
    clearInterval(stopping);
    expect(here()).toEqual(['owners:1']);
  });
});

test('two names of one image take its room once, and it goes with the last of them', () => {
  const image = (reference: string, id: string, usedAtMs: number) => ({
    reference,
    id,
    sizeBytes: 100,
    usedAtMs,
    isPrivate: false,
  });
  const images = [image('a:1', 'x', 1), image('a:2', 'x', 3), image('b:1', 'y', 2)];
  const evicted = (budgetBytes: number) =>
    chooseEvictions(images, { budgetBytes, keep: () => false }).map(({ reference }) => reference);
  expect(evicted(200)).toEqual([]);
  expect(evicted(150)).toEqual(['a:1', 'b:1']);
  expect(evicted(0)).toEqual(['a:1', 'b:1', 'a:2']);
});
