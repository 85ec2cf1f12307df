import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type MarketKey, marketKey } from '@computefabric/protocol/receipts/receipt';
import { endorsementText } from '@computefabric/runtime/receipts/seal-receipt';
import { isSignedBy, keyIdOf } from '@computefabric/runtime/receipts/signatures';
import { z } from 'zod';
import { CliError } from '../errors/cli-error.ts';

const keyFile = z.looseObject({ keys: z.array(marketKey) });
/** Keys by the address of their market. */
const pinnedFile = z.record(z.string(), z.array(marketKey));

/** Keys by key id, as the verification wants them. */
export function byId(keys: readonly MarketKey[]): Map<string, string> {
  return new Map(
    keys.filter((each) => keyIdOf(each.public_key) === each.key).map((each) => [each.key, each.public_key]),
  );
}

/** The keys of a file, in the form in which `GET /v1/keys` gives them. @throws CliError when it holds none */
export async function readKeys(path: string): Promise<MarketKey[]> {
  const parsed = keyFile.safeParse(await readJson(path));
  if (parsed.success) return parsed.data.keys;
  throw new CliError({
    code: 'cli/file',
    message: `${path} holds no keys of a market`,
    help: ['it must be the answer of GET /v1/keys'],
    exit: 'error',
  });
}

/** The keys of markets that were seen before, beside the configuration file. */
export class KnownKeys {
  readonly #path: string;

  constructor(configFile: string) {
    this.#path = join(dirname(configFile), 'known-keys.json');
  }

  /** Keys that this market was known by; empty for one that is met for the first time. */
  async of(url: string): Promise<MarketKey[]> {
    return (await this.#read())[url] ?? [];
  }

  /**
   * Takes in the keys that a market shows now. At the first meeting all of them; later only those that a known key
   * vouches for: whoever takes a market's address over cannot sign its receipts.
   *
   * @returns what is known now
   */
  async learn(url: string, shown: readonly MarketKey[]): Promise<MarketKey[]> {
    const all = await this.#read();
    const known = all[url] ?? [];
    const learned = known.length === 0 ? [...shown] : [...known, ...endorsed(known, shown)];
    if (learned.length > known.length) await this.#write({ ...all, [url]: learned });
    return learned;
  }

  async #read(): Promise<Record<string, MarketKey[]>> {
    let json: unknown;
    try {
      json = await readJson(this.#path);
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return {};
      throw thrown;
    }
    const parsed = pinnedFile.safeParse(json);
    if (parsed.success) return parsed.data;
    throw new CliError({
      code: 'cli/file',
      message: `${this.#path} cannot be read: it is damaged`,
      help: ['remove it, and the keys are taken from the market again at the next receipt'],
      exit: 'error',
    });
  }

  async #write(all: Record<string, MarketKey[]>): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const unfinished = `${this.#path}.${randomUUID().slice(0, 8)}`;
    await writeFile(unfinished, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
    await rename(unfinished, this.#path);
  }
}

/** Of the keys shown, those that a known key vouches for, or one that is vouched for itself. */
export function endorsed(known: readonly MarketKey[], shown: readonly MarketKey[]): MarketKey[] {
  const trusted = byId(known);
  const found: MarketKey[] = [];
  for (let more = true; more; ) {
    more = false;
    for (const each of shown) {
      const by = each.endorsed_by === null ? undefined : trusted.get(each.endorsed_by);
      if (trusted.has(each.key) || by === undefined || each.endorsement === null) continue;
      if (keyIdOf(each.public_key) !== each.key) continue;
      if (!isSignedBy(by, endorsementText(each), each.endorsement)) continue;
      trusted.set(each.key, each.public_key);
      found.push(each);
      more = true;
    }
  }
  return found;
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it, which is reported.
  }
}
