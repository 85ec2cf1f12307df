import { statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { known, type Reading, unknown } from '../readings.ts';
import { names, text } from './input-activity.ts';

/** Whether the machine runs on a battery now. One without a battery never does. */
export async function readOnBattery(root: string): Promise<Reading<boolean>> {
  const supplies = join(root, 'sys/class/power_supply');
  let isOnMains: boolean | null = null;
  let discharges = false;
  for (const name of await names(supplies)) {
    const field = async (file: string) => (await text(join(supplies, name, file)))?.trim() ?? '';
    const type = await field('type');
    // A mouse has a battery too.
    if ((await field('scope')) === 'Device') continue;
    if (type === 'Mains') isOnMains = (isOnMains ?? false) || (await field('online')) === '1';
    if (type === 'Battery' && (await field('status')) === 'Discharging') discharges = true;
  }
  return known(isOnMains === null ? discharges : discharges && !isOnMains);
}

/** Whether somebody works at a screen of this machine now, by the word of the login manager. */
export async function hasDesktop(root: string): Promise<boolean> {
  const sessions = join(root, 'run/systemd/sessions');
  for (const name of await names(sessions)) {
    if (!/^[A-Za-z0-9]+$/.test(name)) continue;
    const session = (await text(join(sessions, name))) ?? '';
    if (/^TYPE=(x11|wayland|mir)$/m.test(session) && /^CLASS=user$/m.test(session)) return true;
  }
  return false;
}

/** The chips that measure processors. */
const cpuChips = /^(coretemp|k10temp|zenpower|cpu_thermal|x86_pkg_temp|acpitz)$/;

/** The hottest place of the processor, °C; null on a machine that does not measure it, such as a virtual one. */
export async function readCpuCelsius(root: string): Promise<Reading<number | null>> {
  const chips = join(root, 'sys/class/hwmon');
  const found: number[] = [];
  for (const chip of await names(chips)) {
    const folder = join(chips, chip);
    if (!cpuChips.test((await text(join(folder, 'name')))?.trim() ?? '')) continue;
    for (const file of await names(folder)) {
      if (!/^temp\d+_input$/.test(file)) continue;
      const celsius = Number(await text(join(folder, file))) / 1_000;
      // Broken sensors say 0, or the limits of their byte.
      if (celsius > 0 && celsius < 150) found.push(celsius);
    }
  }
  return known(found.length > 0 ? Math.max(...found) : null);
}

export async function readDiskFreeMib(path: string): Promise<Reading<number>> {
  try {
    const disk = await statfs(path);
    return known(Math.floor((disk.bavail * disk.bsize) / 1_048_576));
  } catch {
    return unknown('the disk cannot be asked');
  }
}

/**
 * Which of these programs run, by the name of their file or of the process. Those in containers of ours do not
 * count: a job cannot call the owner back by taking the name of a game.
 */
export async function readApps(
  root: string,
  wanted: readonly string[],
  ourContainers: readonly string[],
): Promise<Reading<readonly string[]>> {
  if (wanted.length === 0) return known([]);
  const proc = join(root, 'proc');
  const pids = (await names(proc)).filter((name) => /^\d+$/.test(name));
  if (pids.length === 0) return unknown('the list of processes cannot be read');
  const byName = new Map(wanted.map((name) => [name.toLowerCase(), name]));
  const found = new Set<string>();
  for (const pid of pids) {
    const folder = join(proc, pid);
    const commandLine = (await text(join(folder, 'cmdline'))) ?? '';
    const [program = ''] = commandLine.split('\u0000');
    const name = (await text(join(folder, 'comm')))?.trim() ?? '';
    // Windows programs under Wine and Proton say their whole path, with backslashes.
    const ran = [basename(program.replaceAll('\\', '/')), name].map((one) => byName.get(one.toLowerCase()));
    const hit = ran.find((one) => one !== undefined);
    if (hit !== undefined && !(await isOurs(root, pid, ourContainers))) found.add(hit);
  }
  return known([...found]);
}

/** Whether a process belongs to one of these containers, by the kernel's word. */
export async function isOurs(root: string, pid: string, ourContainers: readonly string[]): Promise<boolean> {
  if (ourContainers.length === 0) return false;
  const groups = (await text(join(root, 'proc', pid, 'cgroup'))) ?? '';
  return ourContainers.some((id) => groups.includes(id));
}
