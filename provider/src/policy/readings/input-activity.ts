import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { known, type Reading, unknown } from '../readings.ts';

/** How long a look at which devices there are is good for. */
const rescanMs = 10_000;

/**
 * How long keyboard, mouse and terminals have rested, without a window system, special rights, or a look at what is
 * typed: the kernel counts what each USB device and each interrupt line of a built-in keyboard has delivered, for
 * everybody to read, and every terminal keeps the moment at which it was read last. Somebody who sits at another
 * computer and looks at this one's screen from there is not seen.
 */
export class InputActivity {
  readonly #root: string;
  readonly #counts = new Map<string, string>();
  #devices: { counters: string[]; blind: string | null; foundAtMs: number } | undefined;
  #lastUsedAtMs: number | undefined;

  /** @param root where `/proc`, `/sys` and `/dev` are */
  constructor(root: string) {
    this.#root = root;
  }

  /** Seconds of rest. The time before the first look is not known, so it does not count as rest. */
  async look(nowMs: number): Promise<Reading<number>> {
    if (!this.#devices || nowMs - this.#devices.foundAtMs >= rescanMs || nowMs < this.#devices.foundAtMs)
      this.#devices = { ...(await this.#findDevices()), foundAtMs: nowMs };
    const counts = [
      ...(await Promise.all(this.#devices.counters.map(async (path) => [path, await text(path)] as const))),
      ...(await this.#interrupts()),
    ].filter((count): count is readonly [string, string] => count[1] !== null);
    if (this.#devices.blind !== null) return unknown(this.#devices.blind);
    if (counts.length === 0) return unknown('no keyboard and no mouse is found on this machine');

    const isFirst = this.#lastUsedAtMs === undefined;
    for (const [name, count] of counts) {
      const before = this.#counts.get(name);
      // Also one that was plugged in just now: somebody did that.
      if (before !== count) this.#lastUsedAtMs = nowMs;
      this.#counts.set(name, count);
    }
    if (isFirst) this.#lastUsedAtMs = nowMs;
    const terminalMs = await this.#terminalUsedAtMs(nowMs);
    this.#lastUsedAtMs = Math.min(nowMs, Math.max(this.#lastUsedAtMs ?? nowMs, terminalMs));
    return known((nowMs - this.#lastUsedAtMs) / 1_000);
  }

  async #findDevices(): Promise<{ counters: string[]; blind: string | null }> {
    const usb = join(this.#root, 'sys/bus/usb/devices');
    const devices = new Set<string>();
    const adapters = new Set<string>();
    for (const name of await names(usb)) {
      const [device, part] = name.split(':');
      if (!device || part === undefined) continue;
      const field = async (file: string) => (await text(join(usb, name, file)))?.trim() ?? '';
      const kind = await field('bInterfaceClass');
      // Human interface devices that a BIOS can use: keyboards (1) and mice (2).
      if (kind === '03' && /^0[12]$/.test(await field('bInterfaceProtocol'))) devices.add(device);
      if (kind === 'e0') adapters.add(device);
    }
    const listed = (await text(join(this.#root, 'proc/bus/input/devices'))) ?? '';
    let blind: string | null = null;
    if (/^I: Bus=0005 /m.test(listed)) {
      // A wireless keyboard is seen by the traffic of its adapter. Music over it counts as somebody who is there.
      for (const adapter of adapters) devices.add(adapter);
      if (adapters.size === 0) blind = 'a Bluetooth keyboard or mouse is connected that cannot be watched';
    }
    return { counters: [...devices].map((device) => join(usb, device, 'urbnum')), blind };
  }

  /** The lines of keyboards and touch pads that are built in. */
  async #interrupts(): Promise<(readonly [string, string])[]> {
    const table = (await text(join(this.#root, 'proc/interrupts'))) ?? '';
    return table.split('\n').flatMap((line): (readonly [string, string])[] => {
      const [, number, counts, name] = /^\s*(\S+):((?:\s+\d+)+)\s+(.*)$/.exec(line) ?? [];
      if (!number || !counts || !name || !/i8042|i2c[-_]hid|hid.*i2c|ELAN|SYNA|DLL[0-9A-F]{4}/i.test(name))
        return [];
      return [[`interrupt ${number}`, counts.trim().split(/\s+/).join(' ')]];
    });
  }

  /** When somebody typed into a terminal last. */
  async #terminalUsedAtMs(nowMs: number): Promise<number> {
    const dev = join(this.#root, 'dev');
    const paths = [
      ...(await names(join(dev, 'pts')))
        .filter((name) => /^\d+$/.test(name))
        .map((name) => join('pts', name)),
      ...(await names(dev)).filter((name) => /^tty\d+$/.test(name)),
    ];
    const moments = await Promise.all(
      paths.map(async (path) => {
        try {
          return (await stat(join(dev, path))).atimeMs;
        } catch {
          return 0; // closed meanwhile
        }
      }),
    );
    return Math.max(0, ...moments.filter((ms) => ms <= nowMs + rescanMs));
  }
}

/** What a folder holds; nothing when there is none. */
export async function names(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch {
    return []; // what is not there has nothing in it
  }
}

/** A small file's text; null when it cannot be read. */
export async function text(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null; // the caller says what that means
  }
}
