import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { writeFileAtomically } from '../home/atomic-file.ts';

const askMs = 10_000;

/** What each card was set to before, watts. */
const remembered = z.record(z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/), z.number().positive());

/**
 * The owner's bound on the power of the cards, while jobs run. What was set before is written down first, so that
 * it is put back whatever becomes of this process. Setting it needs the rights of an administrator.
 */
export class PowerLimits {
  readonly #path: string;
  readonly #program: string;
  #applied: number | null = null;

  /**
   * @param path where the earlier limits are remembered
   * @param program for tests
   */
  constructor(path: string, program = 'nvidia-smi') {
    this.#path = path;
    this.#program = program;
  }

  /**
   * Sets the cards to this many watts, or as near to it as each allows; null puts back what was set before.
   *
   * @throws Error of the tool, in its own words, such as that it needs other rights
   */
  async apply(watts: number | null): Promise<void> {
    if (watts === this.#applied && !(watts === null && (await this.#before()) !== null)) return;
    if (watts === null) await this.#restore();
    else await this.#limit(watts);
    this.#applied = watts;
  }

  async #limit(watts: number): Promise<void> {
    const cards = await this.#cards();
    if (cards.length === 0) return;
    const before = (await this.#before()) ?? {};
    for (const card of cards) before[card.uuid] ??= card.limit;
    await writeFileAtomically(this.#path, `${JSON.stringify(before)}\n`);
    for (const card of cards) {
      await this.#set(
        card.uuid,
        Math.min(card.most, Math.max(card.least, Math.min(watts, before[card.uuid] ?? watts))),
      );
    }
  }

  async #restore(): Promise<void> {
    const before = await this.#before();
    if (before === null) return;
    const there = new Set((await this.#cards()).map(({ uuid }) => uuid));
    for (const [uuid, watts] of Object.entries(before)) if (there.has(uuid)) await this.#set(uuid, watts);
    await rm(this.#path, { force: true });
  }

  /** Cards whose limit can be set; the others, of laptops for example, are as they are. */
  async #cards(): Promise<{ uuid: string; limit: number; least: number; most: number }[]> {
    const question = '--query-gpu=uuid,power.limit,power.min_limit,power.max_limit';
    const answer = await this.#run([question, '--format=csv,noheader,nounits']);
    return answer.split('\n').flatMap((line) => {
      const [uuid = '', ...watts] = line.split(',').map((value) => value.trim());
      const [limit = NaN, least = NaN, most = NaN] = watts.map(Number);
      return uuid !== '' && limit > 0 && least > 0 && most > 0 ? [{ uuid, limit, least, most }] : [];
    });
  }

  async #set(uuid: string, watts: number): Promise<void> {
    await this.#run(['-i', uuid, '-pl', String(Math.round(watts))]);
  }

  async #run(args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(this.#program, [...args], {
      timeout: askMs,
      maxBuffer: 1_048_576,
    });
    return stdout;
  }

  async #before(): Promise<Record<string, number> | null> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch {
      return null; // nothing is limited
    }
    return remembered.parse(JSON.parse(text));
  }
}
