import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { callDocker } from '../../scripts/lib/docker-api.mjs';
import { writeTar } from '../../scripts/lib/tar-writer.mjs';

/** A small image with a shell, made of Debian's static busybox; never pulled. */
export const testImage = 'computefabric/test-busybox:1';

const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';

/** @param engine another one than the machine's own */
export async function ensureTestImage(engine: string = host): Promise<void> {
  const present = await callDocker(engine, `/images/${encodeURIComponent(testImage)}/json`, {
    deadlineSeconds: 10,
  });
  if (present.status === 200) return;
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (!busybox) throw new Error('these tests need busybox: apt-get install busybox-static');
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n');
  const tar = writeTar([
    { kind: 'folder', path: 'bin', mode: 0o755 },
    { kind: 'folder', path: 'tmp', mode: 0o1777 },
    { kind: 'folder', path: 'etc', mode: 0o755 },
    { kind: 'text', path: 'etc/passwd', mode: 0o644, text: 'root:x:0:0:root:/:/bin/sh\n' },
    { kind: 'file', path: 'bin/busybox', mode: 0o755, source: busybox, size: statSync(busybox).size },
    ...applets
      .filter((name) => /^[\w.-]+$/.test(name) && name !== 'busybox')
      .map((name) => ({ kind: 'link' as const, path: `bin/${name}`, target: 'busybox' })),
  ]);
  const [repo, tag] = testImage.split(':');
  const reply = await callDocker(
    engine,
    `/images/create?fromSrc=-&repo=${repo}&tag=${tag}&changes=${encodeURIComponent('ENV PATH=/bin')}`,
    {
      method: 'POST',
      deadlineSeconds: 60,
      body: tar,
      contentType: 'application/x-tar',
    },
  );
  if (reply.status !== 200 || reply.text.includes('"error"')) throw new Error(`no test image: ${reply.text}`);
}

interface ContainerSummary {
  Id: string;
  State: string;
  Labels: Record<string, string>;
}

/** Containers of tasks, of any agent on this engine, running or not. */
export async function taskContainers(leaseIds?: readonly string[]): Promise<ContainerSummary[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: ['computefabric.lease'] }));
  const reply = await callDocker(host, `/containers/json?all=1&filters=${filters}`, { deadlineSeconds: 10 });
  const all: ContainerSummary[] = JSON.parse(reply.text);
  return leaseIds ? all.filter(({ Labels }) => leaseIds.includes(Labels['computefabric.lease'] ?? '')) : all;
}

/** Removes what a failed test left behind. */
export async function removeContainers(leaseIds: readonly string[]): Promise<void> {
  for (const { Id } of await taskContainers(leaseIds)) {
    await callDocker(host, `/containers/${Id}?force=1&v=1`, { method: 'DELETE', deadlineSeconds: 30 });
  }
}
