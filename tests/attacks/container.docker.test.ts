import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { importImage, shellLayer } from '../../provider/src/container/testing/shell-image.ts';
import { AttackBench, engineClient, runMark } from './attack-bench.ts';

const mebibyte = 2 ** 20;
const image = `computefabric/test-attackers-${runMark}:1`;
let bench: AttackBench;
let folder: string;

beforeAll(async () => {
  await importImage(engineClient, image, await shellLayer(), ['ENV PATH=/bin']);
  folder = await mkdtemp(join(tmpdir(), 'cf-attacks-'));
  bench = new AttackBench(`attackers-${runMark}`, image, {
    disk: { folder: join(folder, 'disks'), defaultBytes: 48 * mebibyte },
  });
  expect(await bench.driver.protections()).toMatchObject({ diskLimit: { holds: true, note: null } });
  await bench.startNeighbour();
});

// Whatever was tried: the neighbour goes on, and so does the agent.
afterEach(async () => {
  await bench.expectNeighbourFine();
  await bench.sweep();
});

afterAll(async () => {
  await bench?.close();
  await engineClient.getImage(image).remove({ force: true });
  await rm(folder, { recursive: true, force: true });
});

test('a fork bomb ends at its limit of processes, and is killed at once', async () => {
  const id = await bench.driver.createTask(
    bench.spec({ command: '(while :; do sleep 600 & done) & exec sleep 600', pidsLimit: 64 }),
  );
  await bench.driver.startTask(id);
  const processes = async () => (await engineClient.getContainer(id).top()).Processes.length;
  await expect.poll(processes, { timeout: 30_000 }).toBeGreaterThan(50);
  expect(await processes()).toBeLessThanOrEqual(64);
  await bench.expectNeighbourFine();
  const before = performance.now();
  await bench.driver.killTask(id);
  await bench.driver.waitTask(id);
  expect(performance.now() - before).toBeLessThan(20_000);
});

test('memory ends where the job’s ends: in the heap, in shared memory, in a memory file system', async () => {
  const heap = await bench.attack({ command: `awk 'BEGIN { s = "x"; while (1) s = s s }'` });
  expect(heap.exit).toMatchObject({ exitCode: 137, oomKilled: true });
  const shared = await bench.attack({
    command: 'dd if=/dev/zero of=/dev/shm/fill bs=1M count=500; ls -l /dev/shm/fill; mount | grep shm',
    shmBytes: 8 * mebibyte,
  });
  expect(shared.out).toMatch(/No space left on device/);
});

test('a disk filler meets the end of its own disk, in big files and in small ones, and the owner’s has not changed', async () => {
  const freeMib = async () => {
    const { bavail, bsize } = await statfs(folder);
    return (bavail * bsize) / mebibyte;
  };
  const before = await freeMib();
  const { out, exit } = await bench.attack({
    command: [
      'for place in / /outputs /tmp /bin; do dd if=/dev/zero of=$place/fill bs=1M count=200 2>&1 | tail -1; done',
      'df -m / | tail -1',
      'rm -f /fill /outputs/fill /tmp/fill /bin/fill',
      'i=0; while [ $i -lt 20000 ] && echo > /tmp/f$i; do i=$((i+1)); done 2>/dev/null; echo files $i',
      'rm -rf /tmp/f*; echo still here > /outputs/kept',
    ].join('; '),
  });
  expect(exit.exitCode).toBe(0);
  expect(out).not.toMatch(/^209715200 bytes/m);
  const [, files] = /^files (\d+)$/m.exec(out) ?? [];
  expect(Number(files)).toBeGreaterThan(100);
  expect(Number(files)).toBeLessThanOrEqual(48 * 64);
  await bench.sweep();
  // Others use this disk meanwhile; what an unlimited filler would have written is 800 MiB.
  expect(before - (await freeMib())).toBeLessThan(300);
  expect(await readdir(join(folder, 'disks'))).toEqual([]);
  const loops = execFileSync('/bin/sh', ['-c', 'losetup -a 2>/dev/null || true'], { encoding: 'utf8' });
  // One for the neighbour's disk.
  expect(loops.split('\n').filter((line) => line.includes(folder))).toHaveLength(1);
});

test('a disk is as large as the job asked for, and its results come home', async () => {
  const { id, out } = await bench.attack({
    command: 'dd if=/dev/zero of=/outputs/model bs=1M count=60 && echo written',
    diskBytes: 96 * mebibyte,
  });
  expect(out).toContain('written');
  const files: [string, number][] = [];
  await bench.driver.collectOutputs(
    id,
    { maxFiles: 10, maxBytes: 100 * mebibyte },
    async (path, size, content) => {
      files.push([path, (await buffer(content)).length]);
      expect(size).toBe(60 * mebibyte);
    },
  );
  expect(files).toEqual([['model', 60 * mebibyte]]);
});

test('a flood of output holds back its own job alone', async () => {
  const { bytes, exit } = await bench.attack({ command: `yes 'a line of output' | head -c 60000000` });
  expect(exit.exitCode).toBe(0);
  expect(bytes).toBe(60_000_000);
});

test('links, pipes and devices in the results lead nowhere', async () => {
  const { id } = await bench.attack({
    command: [
      'cd /outputs',
      'ln -s /etc/shadow secret',
      'ln -s / root',
      'ln -s ../../../../../../etc/hostname up',
      'mkfifo pipe',
      'mknod disk b 8 0',
      'echo fine > ok.txt',
    ].join('; '),
  });
  const files: Record<string, string> = {};
  await bench.driver.collectOutputs(
    id,
    { maxFiles: 100, maxBytes: mebibyte },
    async (path, _size, content) => {
      files[path] = (await buffer(content)).toString();
    },
  );
  expect(files).toEqual({ 'ok.txt': 'fine\n' });
});

/** What root in a container might try. Each prints `GOT name` when it worked. */
const tricks: Record<string, string> = {
  'mount a file system': 'mount -t tmpfs none /mnt || mount -t proc proc /mnt',
  'mount the cgroups': 'mkdir -p /tmp/cg && mount -t cgroup -o memory none /tmp/cg',
  'make a device': 'mknod /tmp/disk b 8 0 && cat /tmp/disk',
  'read the kernel’s memory': 'cat /dev/mem || cat /dev/kmsg || cat /proc/kcore',
  'see a disk of the machine': 'ls /dev/sd* /dev/vd* /dev/nvme* /dev/loop* 2>/dev/null | grep .',
  'talk to Docker': 'ls /var/run/docker.sock /run/docker.sock 2>/dev/null | grep .',
  'change a setting of the kernel': 'echo 1 > /proc/sys/kernel/panic || echo c > /proc/sysrq-trigger',
  'write to the cgroup':
    'for f in $(find /sys/fs/cgroup -name "*max*" -o -name "*limit*"); do echo max > $f && echo y; done 2>/dev/null | grep y',
  'make a namespace': 'unshare -U true || unshare -m true || unshare -n true',
  'change its root': 'chroot / true',
  'give a file away': 'touch /tmp/x && chown 1000 /tmp/x',
  'become somebody else': 'setuidgid nobody true || su nobody -s /bin/sh -c true',
  'send to a whole network': 'ping -c 1 -W 1 127.0.0.1',
  'see programs of others':
    'ps -o pid,args | grep -v -e ps -e grep -e sh -e PID -e docker-init -e /sbin/init | grep .',
  'signal the outside': 'kill -0 $(($$ + 1000)) || kill -9 $(pidof dockerd)',
  'set the clock': 'date -s 2001-01-01; [ $(date +%Y) = 2001 ]',
  'change the host name': 'hostname evil',
  'take a higher priority': 'nice -n -20 true 2>&1 | grep -v denied; renice -n -10 $$ ',
  'load a module': 'insmod /bin/busybox || modprobe dummy',
  reboot: 'reboot -f',
};

test('root in the container is nobody outside of it', async () => {
  const script = Object.entries(tricks)
    .map(([name, trick]) => `(${trick}) >/dev/null 2>&1 && echo "GOT ${name}"`)
    .join('\n');
  const { out } = await bench.attack({ command: `${script}\necho tried; cat /proc/self/status` });
  expect(out).toContain('tried');
  expect(out.split('\n').filter((line) => line.startsWith('GOT'))).toEqual([]);
  expect(out).toMatch(/^CapBnd:\s+0000000000000000$/m);
  expect(out).toMatch(/^NoNewPrivs:\s+1$/m);
  expect(out).toMatch(/^Seccomp:\s+2$/m);
});

test('what an image brings along does not weaken it', async () => {
  const tricky = `computefabric/test-tricky-${runMark}:1`;
  await importImage(engineClient, tricky, await shellLayer(), [
    'ENV PATH=/bin',
    'ENV LD_PRELOAD=/evil.so',
    'ENV NVIDIA_VISIBLE_DEVICES=all',
    'VOLUME /data',
    'HEALTHCHECK --interval=1s CMD touch /outputs/healthy',
    'LABEL computefabric.lease=lease_other',
  ]);
  try {
    const { out, id } = await bench.attack({
      image: tricky,
      command: 'env; dd if=/dev/zero of=/data/fill bs=1M count=200 2>&1; sleep 2; ls /outputs',
    });
    expect(out).not.toMatch(/evil|DEVICES=all|healthy/);
    expect(out).toMatch(/No space left on device/);
    await bench.driver.removeLease((await bench.driver.inspectTask(id))?.leaseId ?? '');
  } finally {
    await bench.sweep();
    await engineClient.getImage(tricky).remove({ force: true });
  }
});

test('a program that ignores SIGTERM is gone when its time is over', async () => {
  const id = await bench.driver.createTask(
    bench.spec({ command: "trap '' TERM INT HUP; while :; do sleep 0.1; done" }),
  );
  await bench.driver.startTask(id);
  const before = performance.now();
  await bench.driver.stopTask(id, 1);
  expect((await bench.driver.waitTask(id)).exitCode).toBe(137);
  expect(performance.now() - before).toBeLessThan(20_000);
});
