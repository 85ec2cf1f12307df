import { toError } from '@computefabric/runtime/errors';
import { known, type Readings, unknown } from '../readings.ts';
import type { OwnerConfig } from '../owner-config.ts';
import { readFullScreen } from './full-screen.ts';
import { type GpuReadings, GpuUse } from './gpu-use.ts';
import { InBackground } from './in-background.ts';
import { InputActivity } from './input-activity.ts';
import { readApps, readCpuCelsius, readDiskFreeMib, readOnBattery } from './machine-facts.ts';

interface SensesOptions {
  /** Where `/proc`, `/sys`, `/dev` and `/run` are; another folder in tests. */
  root: string;
  /** A folder on the disk that is watched. */
  home: string;
  /** The X display; null where there is none. */
  display: string | null;
}

/** Asking the cards starts a program: seldom on a machine that nobody else uses. */
const gpuEveryMs = { busy: 1_000, idle: 10_000 };
const screenEveryMs = 1_000;

/** Looks at the machine, as far as the owner's rules need it. */
export class Senses {
  readonly #options: SensesOptions;
  readonly #input: InputActivity;
  readonly #gpus: InBackground<GpuReadings>;
  readonly #screen: InBackground<Readings['fullScreen']>;
  #ourContainers: readonly string[] = [];
  #monotonicMs = 0;

  constructor(options: SensesOptions) {
    this.#options = options;
    this.#input = new InputActivity(options.root);
    const use = new GpuUse(options.root);
    this.#gpus = new InBackground(() => use.look(this.#monotonicMs, this.#ourContainers));
    this.#screen = new InBackground(() => sure(readFullScreen(options.root, options.display)));
  }

  /** Never rejects: what cannot be read is not known. */
  async look(
    config: OwnerConfig,
    now: { wallMs: number; monotonicMs: number },
    ourContainers: readonly string[],
  ): Promise<Readings> {
    const { root, home } = this.#options;
    const { monotonicMs } = now;
    this.#ourContainers = ourContainers;
    this.#monotonicMs = monotonicMs;
    const notAsked = known(null);
    const looksAtGpu = config.watchesGpu || config.mostGpuCelsius !== null;
    const isBusy = ourContainers.length > 0 || config.idleSeconds > 0;
    const [idleSeconds, fullScreen, apps, gpus, onBattery, cpuCelsius, diskFreeMib] = await Promise.all([
      config.idleSeconds > 0 ? sure(this.#input.look(now.wallMs)) : unknown('not looked at'),
      config.watchesFullScreen ? this.#screen.look(monotonicMs, screenEveryMs) : notAsked,
      sure(readApps(root, config.neverWith, ourContainers)),
      looksAtGpu
        ? this.#gpus.look(monotonicMs, isBusy ? gpuEveryMs.busy : gpuEveryMs.idle)
        : { otherGpuUse: notAsked, gpuCelsius: notAsked },
      config.worksOnBattery ? known(false) : sure(readOnBattery(root)),
      config.mostCpuCelsius === null ? notAsked : sure(readCpuCelsius(root)),
      sure(readDiskFreeMib(home)),
    ]);
    return { idleSeconds, fullScreen, apps, ...gpus, onBattery, cpuCelsius, diskFreeMib };
  }
}

async function sure<T>(reading: Promise<T>): Promise<T | { known: false; why: string }> {
  try {
    return await reading;
  } catch (thrown) {
    return unknown(toError(thrown).message.slice(0, 200));
  }
}
