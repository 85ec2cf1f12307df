import { readFile } from 'node:fs/promises';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import { limits } from '@computefabric/protocol/limits';
import { backoffMs, type BackoffOptions } from '@computefabric/runtime/backoff';
import { toError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import { pause } from '@computefabric/runtime/wait';
import { z } from 'zod';
import type { ContainerDriver, LocalImage, PullOptions } from '../container/container-driver.ts';
import { ContainerError, isContainerError } from '../container/container-error.ts';
import { parseImageReference } from '../container/image-reference.ts';
import { writeFileAtomically } from '../home/atomic-file.ts';
import { askImageSize } from './ask-size.ts';
import { chooseEvictions, type PulledImage } from './choose-evictions.ts';

export interface ImageRules {
  /** Most disk for images that the agent pulled, bytes; those in use may be more. */
  budgetBytes: number;
  /** An image with more to fetch than this is not pulled, compressed bytes. */
  mostBytes: number;
  /** Images that stay, as jobs name them. */
  pins: readonly string[];
  /** Whether images that many jobs ask for are pulled while nothing else is to do. */
  prepull: boolean;
}

export interface PulledImagesOptions {
  /** Where it is written down what was pulled. */
  path: string;
  rules: ImageRules;
  driver: Pick<
    ContainerDriver,
    'ping' | 'imagePresent' | 'imageIds' | 'imageNames' | 'pullImage' | 'removeImage'
  >;
  /** Asks the image's registry, unless it is given. */
  askSize?: typeof askImageSize;
  log: Logger;
  /** Rests between tries of a pull; some seconds by default. */
  betweenTries?: BackoffOptions;
}

/** A registry that does not answer for a moment is asked so often, about half a minute in all. */
const mostTries = 4;
const betweenTries = { baseMs: 2_000, maxMs: 15_000 };
/** Pulls of images that nobody waits for. */
const prepullDeadlineSeconds = 3_600;
/** One that could not be pulled ahead is not tried again for so long. */
const prepullAgainMs = 3_600_000;
/** Names of images that are told to the market. */
const mostNames = 256;

const record = z.array(
  z.strictObject({
    reference: z.string().min(1),
    id: z.string().min(1),
    sizeBytes: z.number().min(0),
    usedAtMs: z.number(),
    isPrivate: z.boolean().default(false),
  }),
);

/**
 * The images that this agent has pulled: written down, so that it removes those and no others. An image that was on
 * the machine before is never touched, whoever brought it, nor is one that something is made of: removal is by the
 * name under which it was pulled and never forced, so whatever else holds on to an image keeps it.
 */
export class PulledImages {
  readonly #options: PulledImagesOptions;
  readonly #pins: ReadonlySet<string>;
  readonly #pulled = new Map<string, PulledImage>();
  /** The images of the tasks that are not over. */
  inUse: () => Iterable<string> = () => [];
  readonly #failedAheadAt = new Map<string, number>();
  #suggested: readonly string[] = [];
  #ahead: AbortController | undefined;
  #names: readonly string[] | undefined;
  #writing: Promise<void> = Promise.resolve();

  static async open(options: PulledImagesOptions): Promise<PulledImages> {
    const images = new PulledImages(options);
    await images.#load();
    return images;
  }

  private constructor(options: PulledImagesOptions) {
    this.#options = options;
    this.#pins = new Set(options.rules.pins.map(canonical));
  }

  /** Names of images on the engine as jobs may write them; undefined until they have been looked at. */
  get names(): readonly string[] | undefined {
    return this.#names;
  }

  get bytes(): number {
    const sizes = new Map([...this.#pulled.values()].map(({ id, sizeBytes }) => [id, sizeBytes]));
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /** A task has come: what nobody waits for makes room on the line. What both want the engine fetches once. */
  yieldToTask(): void {
    this.#ahead?.abort();
  }

  /**
   * The image on this machine. One that is here already is used as it is; another is pulled, more than once where
   * the registry does not answer, and others give way to it afterwards.
   *
   * What was pulled with a login is used by nobody who does not bring one that its registry takes: that is asked each
   * time, and costs no more than asking when the image is here.
   *
   * @throws ContainerError `image-too-large`, or as `pullImage` of the driver
   */
  async obtain(reference: string, options: Omit<PullOptions, 'mostBytes'>): Promise<LocalImage> {
    const here = await this.#options.driver.imagePresent(reference);
    const isPrivate = here !== null && this.#isPrivate(here.id);
    if (here && !isPrivate) {
      this.#used(reference, here);
      return here;
    }
    if (isPrivate && !options.login)
      throw new ContainerError('pull-denied', `pulling ${reference}: its registry wants a login`);
    const image = await this.#pull(reference, options, mostTries);
    await this.tidy();
    return image;
  }

  /**
   * Why this image will not be pulled, asked before its job is taken: it has more to fetch than the owner allows. Null
   * also where that cannot be found out; the pull stops then.
   */
  async refusal(reference: string, signal: AbortSignal): Promise<string | null> {
    const { driver, rules } = this.#options;
    // Of what was here half a minute ago nobody is asked: that would be in the way of every start.
    if (this.#names?.includes(reference) || (await driver.imagePresent(reference))) return null;
    const askSize = this.#options.askSize ?? askImageSize;
    const bytes = await askSize(reference, (await driver.ping()).arch, signal);
    if (bytes === null || bytes <= rules.mostBytes) return null;
    return `its image has ${formatBytes(bytes)} to fetch; this machine takes ${formatBytes(rules.mostBytes)}`;
  }

  /** What many jobs ask for, by the market's word; most wanted first. */
  suggest(references: readonly string[]): void {
    this.#suggested = references;
  }

  /**
   * Pulls one of the images that are asked for, if the owner wants that and it fits without another going. The
   * machine has nothing else to do; a task that comes stops it.
   *
   * @returns whether there may be another one to pull
   */
  async pullAhead(): Promise<boolean> {
    const { rules, log } = this.#options;
    if (!rules.prepull || this.#ahead || this.bytes >= rules.budgetBytes) return false;
    const now = Date.now();
    const reference = this.#suggested.find(
      (each) => now - (this.#failedAheadAt.get(each) ?? Number.NEGATIVE_INFINITY) > prepullAgainMs,
    );
    if (reference === undefined) return false;
    const ahead = new AbortController();
    this.#ahead = ahead;
    try {
      // It is looked at again after a while, and then it is here, or has been removed for the budget's sake.
      this.#failedAheadAt.set(reference, now);
      if (await this.#options.driver.imagePresent(reference)) return true;
      const options = { deadlineSeconds: prepullDeadlineSeconds, signal: ahead.signal };
      const mostBytes = Math.min(rules.mostBytes, rules.budgetBytes - this.bytes);
      const { sizeBytes } = await this.#pull(reference, options, 1, mostBytes);
      log.info({ image: reference, bytes: sizeBytes }, 'pulled an image that many jobs ask for');
      // Unpacked it is larger: the one that came unasked is the one that goes.
      if (this.bytes > rules.budgetBytes && !this.#keeper()({ reference })) await this.#remove(reference);
      return true;
    } catch (thrown) {
      if (ahead.signal.aborted) {
        this.#failedAheadAt.delete(reference);
        return false;
      }
      log.info({ image: reference, err: toError(thrown) }, 'an image could not be pulled ahead');
      return true;
    } finally {
      this.#ahead = undefined;
    }
  }

  /** Sees which images are here; what somebody's login brought is told to nobody. */
  async look(): Promise<void> {
    const secret = new Set([...this.#pulled.values()].filter((each) => each.isPrivate).map(repositoryOf));
    const names = await this.#options.driver.imageNames(mostNames);
    this.#names = names.filter(
      (reference) => reference.length <= limits.imageChars && !secret.has(repositoryOf({ reference })),
    );
  }

  /** Removes what does not fit the budget, and what somebody's login brought and nobody needs; sees what is left. */
  async tidy(): Promise<void> {
    const { rules, log } = this.#options;
    try {
      const evictions = chooseEvictions([...this.#pulled.values()], {
        budgetBytes: rules.budgetBytes,
        keep: this.#keeper(),
      });
      // What somebody's login brought goes with that somebody's tasks.
      const inUse = new Set([...this.inUse()].map(canonical));
      const over = [...this.#pulled].filter(([name, { isPrivate }]) => isPrivate && !inUse.has(name));
      for (const { reference } of [...over.map(([, image]) => image), ...evictions])
        await this.#remove(reference);
      await this.look();
    } catch (thrown) {
      log.warn({ err: toError(thrown) }, 'images could not be looked through');
    }
  }

  async #pull(
    reference: string,
    options: Omit<PullOptions, 'mostBytes'>,
    tries: number,
    mostBytes = this.#options.rules.mostBytes,
  ): Promise<LocalImage> {
    const { driver, log } = this.#options;
    // What is here before was brought by somebody else, or is written down already.
    const before = await driver.imageIds();
    for (let made = 1; ; made += 1) {
      try {
        const image = await driver.pullImage(reference, { ...options, mostBytes });
        if (!before.has(image.id) || this.#isPrivate(image.id))
          await this.#note(reference, image, options.login !== undefined);
        return image;
      } catch (thrown) {
        const isPassing = isContainerError(thrown, 'registry-unreachable', 'registry-rate-limited');
        if (isContainerError(thrown, 'disk-full') && (await this.#freeSome())) continue;
        if (!isPassing || made >= tries || options.signal?.aborted) throw thrown;
        log.info(
          { image: reference, tries: made, err: thrown },
          'the registry does not answer; trying again',
        );
        await pause(backoffMs(made - 1, this.#options.betweenTries ?? betweenTries), options.signal);
        if (options.signal?.aborted) throw thrown;
      }
    }
  }

  /** The disk is full: the image that was used longest ago goes. False when there is none. */
  async #freeSome(): Promise<boolean> {
    const [next] = chooseEvictions([...this.#pulled.values()], {
      budgetBytes: Math.max(0, this.bytes - 1),
      keep: this.#keeper(),
    });
    return next !== undefined && (await this.#remove(next.reference));
  }

  /** By what it is, not by its name: one image has many. */
  #isPrivate(id: string): boolean {
    return [...this.#pulled.values()].some((image) => image.isPrivate && image.id === id);
  }

  /** What stays: images that are in use or pinned. */
  #keeper(): (image: { reference: string }) => boolean {
    const used = new Set([...this.inUse()].map(canonical));
    return ({ reference }) => used.has(canonical(reference)) || this.#pins.has(canonical(reference));
  }

  async #note(reference: string, { id, sizeBytes }: LocalImage, isPrivate: boolean): Promise<void> {
    const usedAtMs = Date.now();
    this.#pulled.set(canonical(reference), { reference, id, sizeBytes, usedAtMs, isPrivate });
    await this.#save();
  }

  #used(reference: string, { id }: LocalImage): void {
    const known = this.#pulled.get(canonical(reference));
    if (!known) return;
    // Somebody has given the name to another image: that one is not ours.
    this.#pulled.delete(canonical(reference));
    // Last in the map, too: two uses in one millisecond keep their order.
    if (known.id === id) this.#pulled.set(canonical(reference), { ...known, usedAtMs: Date.now() });
    // A task waits for its start, and not for this.
    void this.#save();
  }

  /** @returns whether it is gone */
  async #remove(reference: string): Promise<boolean> {
    const { driver, log } = this.#options;
    const known = this.#pulled.get(canonical(reference));
    if (!known) return false;
    const here = await driver.imagePresent(reference);
    const outcome = here?.id === known.id ? await driver.removeImage(reference) : 'gone';
    if (outcome === 'in-use') return false;
    this.#pulled.delete(canonical(reference));
    await this.#save();
    if (outcome === 'removed') log.info({ image: reference, bytes: known.sizeBytes }, 'image removed');
    return outcome === 'removed';
  }

  async #load(): Promise<void> {
    try {
      for (const image of record.parse(JSON.parse(await readFile(this.#options.path, 'utf8'))))
        this.#pulled.set(canonical(image.reference), image);
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return;
      // Then nothing counts as ours, and nothing is removed.
      this.#options.log.warn({ err: toError(thrown) }, 'it cannot be read which images were pulled');
    }
  }

  #save(): Promise<void> {
    const content = JSON.stringify([...this.#pulled.values()]);
    this.#writing = this.#writing
      .then(() => writeFileAtomically(this.#options.path, content, { durable: false }))
      .catch((thrown: unknown) =>
        this.#options.log.warn(
          { err: toError(thrown) },
          'it could not be written down which images were pulled',
        ),
      );
    return this.#writing;
  }
}

/** One name for `busybox` and `busybox:latest`. A name that is none stays what it is. */
function canonical(reference: string): string {
  try {
    const { repository, tagOrDigest } = parseImageReference(reference);
    return `${repository} ${tagOrDigest}`;
  } catch {
    return reference; // An image id, or nothing that could be pulled.
  }
}

function repositoryOf({ reference }: { reference: string }): string {
  try {
    return parseImageReference(reference).repository;
  } catch {
    return reference; // likewise
  }
}
