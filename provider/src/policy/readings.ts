/** What was seen, or why it could not be. Not known is never taken for "nobody there". */
export type Reading<T> = { known: true; value: T } | { known: false; why: string };

export function known<T>(value: T): Reading<T> {
  return { known: true, value };
}

export function unknown(why: string): { known: false; why: string } {
  return { known: false, why };
}

/** What the machine looks like at one moment. */
export interface Readings {
  /** Seconds since keyboard, mouse or a terminal were used. */
  idleSeconds: Reading<number>;
  /** What fills the screen or keeps it awake; null when nothing does. */
  fullScreen: Reading<string | null>;
  /** Names of running programs of the owner's list. */
  apps: Reading<readonly string[]>;
  /** Who else uses a GPU; null when nobody does. */
  otherGpuUse: Reading<string | null>;
  onBattery: Reading<boolean>;
  gpuCelsius: Reading<number | null>;
  cpuCelsius: Reading<number | null>;
  diskFreeMib: Reading<number>;
}

/** Of a machine at which nobody has looked yet. */
export const unseen: Readings = (() => {
  const why = 'not looked at yet';
  return {
    idleSeconds: unknown(why),
    fullScreen: unknown(why),
    apps: unknown(why),
    otherGpuUse: unknown(why),
    onBattery: unknown(why),
    gpuCelsius: unknown(why),
    cpuCelsius: unknown(why),
    diskFreeMib: unknown(why),
  };
})();
