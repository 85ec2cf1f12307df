import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { known } from '../readings.ts';
import { readFullScreen } from './full-screen.ts';
import { GpuUse } from './gpu-use.ts';
import { InputActivity } from './input-activity.ts';
import { readApps, readCpuCelsius, readDiskFreeMib, readOnBattery } from './machine-facts.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cf-readings-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function file(path: string, content: string): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

const now = Date.parse('2026-03-04T12:00:00Z');

test('a machine without keyboard and mouse does not know, and that is not idle', async () => {
  expect(await new InputActivity(root).look(now)).toMatchObject({ known: false });
});

test('a USB keyboard is idle since it delivered something last, and what it delivered is not read', async () => {
  file('sys/bus/usb/devices/1-2:1.0/bInterfaceClass', '03\n');
  file('sys/bus/usb/devices/1-2:1.0/bInterfaceProtocol', '01\n');
  file('sys/bus/usb/devices/1-2/urbnum', '100\n');
  // A disk, whose traffic says nothing of a person.
  file('sys/bus/usb/devices/1-3:1.0/bInterfaceClass', '08\n');
  file('sys/bus/usb/devices/1-3/urbnum', '1\n');
  const activity = new InputActivity(root);
  expect(await activity.look(now)).toEqual(known(0));
  file('sys/bus/usb/devices/1-3/urbnum', '999\n');
  expect(await activity.look(now + 400_000)).toEqual(known(400));
  file('sys/bus/usb/devices/1-2/urbnum', '101\n');
  expect(await activity.look(now + 401_000)).toEqual(known(0));
  expect(await activity.look(now + 403_000)).toEqual(known(2));
});

test('a built-in keyboard is seen by its interrupts, and nothing else is', async () => {
  const table = (keys: number, disk: number) => `           CPU0       CPU1
   1:          ${keys}          0   IO-APIC    1-edge      i8042
  16:        ${disk}          7   IO-APIC   16-fasteoi   nvme0q0
 NMI:          3          4   Non-maskable interrupts\n`;
  file('proc/interrupts', table(5, 5));
  const activity = new InputActivity(root);
  await activity.look(now);
  file('proc/interrupts', table(5, 9));
  expect(await activity.look(now + 60_000)).toEqual(known(60));
  file('proc/interrupts', table(6, 9));
  expect(await activity.look(now + 61_000)).toEqual(known(0));
});

test('somebody who types into a terminal is there', async () => {
  file('proc/interrupts', '   1:   5   IO-APIC    1-edge      i8042\n');
  const terminal = file('dev/pts/3', '');
  utimesSync(terminal, new Date(now - 900_000), new Date(now));
  const activity = new InputActivity(root);
  await activity.look(now);
  utimesSync(terminal, new Date(now + 599_000), new Date(now));
  expect(await activity.look(now + 600_000)).toEqual(known(1));
});

test('a Bluetooth keyboard is seen by its adapter, and not known without one that can be watched', async () => {
  file('proc/interrupts', '   1:   5   IO-APIC    1-edge      i8042\n');
  file('proc/bus/input/devices', 'I: Bus=0005 Vendor=046d Product=b342 Version=0001\n');
  expect(await new InputActivity(root).look(now)).toMatchObject({ known: false });
  file('sys/bus/usb/devices/1-7:1.0/bInterfaceClass', 'e0\n');
  file('sys/bus/usb/devices/1-7/urbnum', '1\n');
  const activity = new InputActivity(root);
  await activity.look(now);
  file('sys/bus/usb/devices/1-7/urbnum', '2\n');
  expect(await activity.look(now + 9_000)).toEqual(known(0));
});

test('a machine on its battery says so; one on mains, or with a mouse that has a battery, does not', async () => {
  expect(await readOnBattery(root)).toEqual(known(false));
  file('sys/class/power_supply/AC/type', 'Mains\n');
  file('sys/class/power_supply/AC/online', '0\n');
  file('sys/class/power_supply/BAT0/type', 'Battery\n');
  file('sys/class/power_supply/BAT0/status', 'Discharging\n');
  expect(await readOnBattery(root)).toEqual(known(true));
  file('sys/class/power_supply/AC/online', '1\n');
  expect(await readOnBattery(root)).toEqual(known(false));
  file('sys/class/power_supply/AC/online', '0\n');
  file('sys/class/power_supply/BAT0/scope', 'Device\n');
  expect(await readOnBattery(root)).toEqual(known(false));
});

test('the processor is as hot as its hottest place, and not known to be cool where nothing measures it', async () => {
  expect(await readCpuCelsius(root)).toEqual(known(null));
  file('sys/class/hwmon/hwmon0/name', 'nvme\n');
  file('sys/class/hwmon/hwmon0/temp1_input', '99000\n');
  file('sys/class/hwmon/hwmon1/name', 'coretemp\n');
  file('sys/class/hwmon/hwmon1/temp1_input', '61000\n');
  file('sys/class/hwmon/hwmon1/temp2_input', '64500\n');
  expect(await readCpuCelsius(root)).toEqual(known(64.5));
});

test('free disk is that of the file system, and not known where there is none', async () => {
  const free = await readDiskFreeMib(root);
  expect(free.known && free.value).toBeGreaterThan(0);
  expect(await readDiskFreeMib(join(root, 'nowhere'))).toMatchObject({ known: false });
});

test('listed programs are found by file or by name, but not when a job has taken the name', async () => {
  const ours = 'a'.repeat(64);
  file('proc/10/cmdline', '/usr/bin/python\u0000-m\u0000thing\u0000');
  file('proc/10/comm', 'python\n');
  file('proc/11/cmdline', 'Z:\\games\\Game.exe\u0000');
  file('proc/11/comm', 'Main\n');
  file('proc/12/comm', 'steam\n');
  file('proc/12/cgroup', `0::/system.slice/docker-${ours}.scope\n`);
  expect(await readApps(root, ['game.exe', 'steam', 'blender'], [ours])).toEqual(known(['game.exe']));
  expect(await readApps(root, ['steam'], [])).toEqual(known(['steam']));
  expect(await readApps(join(root, 'nowhere'), ['steam'], [])).toMatchObject({ known: false });
});

test('a player that keeps the screen awake is seen, and a shutdown that is delayed is not one', async () => {
  expect(await readFullScreen(root, null)).toMatchObject({ known: false });
  file('run/systemd/inhibit/1', 'WHAT=shutdown\nWHO=Updates\nMODE=block\n');
  expect(await readFullScreen(root, null)).toEqual(known(null));
  file('run/systemd/inhibit/2', 'WHAT=sleep:idle\nWHO=mpv\nWHY=Playing\nMODE=block\n');
  expect(await readFullScreen(root, null)).toEqual(known('mpv'));
});

/** A program in the place of the driver's tool; it answers from two files. */
function fakeSmi(): string {
  const program = file(
    'nvidia-smi',
    `#!/bin/sh\ncase "$1" in *query-gpu*) cat ${root}/cards;; *) cat ${root}/programs;; esac\n`,
  );
  chmodSync(program, 0o755);
  return program;
}

test('a program of somebody else on the GPU is named, one of a job is not', async () => {
  const ours = 'b'.repeat(64);
  const program = fakeSmi();
  file('cards', 'GPU-1, 24564, 900, 3, 44\nGPU-2, 24564, 12000, 99, 71\n');
  file('programs', 'GPU-2, 77, /opt/python\n');
  file('proc/77/cgroup', `0::/docker/${ours}\n`);
  const look = async (containers: string[]) => await new GpuUse(root, program).look(0, containers);
  expect(await look([ours])).toEqual({ otherGpuUse: known(null), gpuCelsius: known(71) });
  expect(await look([])).toMatchObject({ otherGpuUse: known('python') });
});

test('a card is in use when others fill its memory, or keep it busy for long enough', async () => {
  const program = fakeSmi();
  file('programs', '');
  file('cards', 'GPU-1, 10000, 1000, 0, 40\n');
  expect(await new GpuUse(root, program).look(0, [])).toMatchObject({
    otherGpuUse: known('10 % of its memory is taken'),
  });
  const use = new GpuUse(root, program);
  file('cards', 'GPU-1, 10000, 500, 60, 40\n');
  expect(await use.look(0, [])).toMatchObject({ otherGpuUse: known(null) });
  expect(await use.look(40_000, [])).toMatchObject({
    otherGpuUse: known('60 % used over the last minute'),
  });
});

test('a machine without the tool has no card that others use; a tool that fails is not known', async () => {
  expect(await new GpuUse(root, join(root, 'none')).look(0, [])).toEqual({
    otherGpuUse: known(null),
    gpuCelsius: known(null),
  });
  const broken = file('broken', '#!/bin/sh\nexit 9\n');
  chmodSync(broken, 0o755);
  expect(await new GpuUse(root, broken).look(0, [])).toMatchObject({ otherGpuUse: { known: false } });
});
