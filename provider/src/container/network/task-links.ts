import { randomInt } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { type Egress, namespaceRules, proxyPort } from './egress-rules.ts';
import type { HostFirewall } from './host-firewall.ts';
import { runTool, ToolError } from './run-tool.ts';

/** Pairs of addresses in 198.18.0.0/15. */
const PAIRS = 65_536;
const MOST_TRIES = 20;

/** A container of which a program runs. */
export interface Container {
  containerId: string;
  /** Its number on this machine. */
  pid: number;
}

/** A namespace that is wired to the machine: see `wire`. */
export interface TaskLink extends Container {
  /** The machine's end, gone with the namespace. */
  interfaceName: string;
  /** The address of the machine's end, and the task's. */
  gateway: string;
  address: string;
}

/**
 * Wires the network namespace of a container, which has loopback alone, to the machine, with its rules in force
 * before the wire is. Everything that is made is inside of the namespace or tied to it, so it goes when the last
 * program in there ends, whoever is alive then.
 */
export async function wire(
  firewall: HostFirewall,
  container: Container,
  { megabitsPerSecond }: { megabitsPerSecond: number | null },
): Promise<TaskLink> {
  return await insideOf(container, async (namespace) => {
    // No address of the newer kind is given to anything made from now on.
    await runTool('nsenter', [
      `--net=${namespace}`,
      '/bin/sh',
      '-c',
      'f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo 1 > $f',
    ]);
    const mtu = await outwardMtu();
    for (let tries = 1; ; tries += 1) {
      const pair = randomInt(1, PAIRS - 1) * 2;
      const gateway = addressAt(pair);
      const address = addressAt(pair + 1);
      const interfaceName = `${firewall.names.interfacePrefix}${pair.toString(36).padStart(4, '0')}`;
      try {
        await setRules(firewall, namespace, { kind: 'internet' }, address);
        await runTool('ip', ['-batch', '-'], hostEnd(interfaceName, namespace, gateway, address, mtu));
      } catch (thrown) {
        // Another task has this pair: the kernel takes a route to an address once.
        if (!(thrown instanceof ToolError) || !/exists/i.test(thrown.message) || tries === MOST_TRIES)
          throw thrown;
        await unplug(interfaceName);
        continue;
      }
      await runTool('nsenter', [`--net=${namespace}`, 'ip', '-batch', '-'], taskEnd(gateway, address));
      if (megabitsPerSecond !== null) await limitRate(namespace, interfaceName, megabitsPerSecond);
      return { ...container, interfaceName, gateway, address };
    }
  });
}

/** Changes what a wired namespace may reach, in one piece. */
export async function rearm(
  firewall: HostFirewall,
  link: TaskLink,
  egress: 'internet' | 'proxy',
): Promise<void> {
  const rule: Egress =
    egress === 'proxy' ? { kind: 'proxy', address: link.gateway, port: proxyPort } : { kind: 'internet' };
  await insideOf(link, (namespace) => setRules(firewall, namespace, rule, link.address));
}

/** Takes the wire away: loopback is left. */
export async function unplug(interfaceName: string): Promise<void> {
  try {
    await runTool('ip', ['link', 'delete', 'dev', interfaceName]);
  } catch (thrown) {
    if (!(thrown instanceof ToolError) || !/cannot find device/i.test(thrown.message)) throw thrown;
  }
}

/** Runs a program of the machine inside of a task's network: it sees the machine's files and the task's network. */
export async function runInNetwork(
  container: Container,
  command: readonly string[],
  deadlineMs: number,
): Promise<string> {
  return await insideOf(container, (namespace) =>
    runTool('nsenter', [`--net=${namespace}`, ...command], '', deadlineMs),
  );
}

/** The two ends of the link of a container that was wired before. */
export async function addressesOf(container: Container): Promise<{ gateway: string; address: string }> {
  const shown = await runInNetwork(container, ['ip', '-4', '-o', 'address', 'show', 'dev', 'eth0'], 5_000);
  const routes = await runInNetwork(container, ['ip', '-4', 'route', 'show', 'default'], 5_000);
  const address = /inet ([\d.]+)/.exec(shown)?.[1];
  const gateway = /^default via ([\d.]+)/.exec(routes)?.[1];
  if (address === undefined || gateway === undefined) throw new ToolError('the container has no link');
  return { gateway, address };
}

async function setRules(
  firewall: HostFirewall,
  namespace: string,
  egress: Egress,
  address: string,
): Promise<void> {
  const rules = namespaceRules(egress, address, await firewall.alsoNever());
  await runTool('nsenter', [`--net=${namespace}`, 'iptables-restore', '-w', '5'], rules);
}

/**
 * A path that names the namespace of this container's program for as long as `work` takes. The number of a process
 * may come to mean another one; a file that is open does not, and what was opened is checked to be the container's.
 */
async function insideOf<T>(
  { containerId, pid }: Container,
  work: (namespace: string) => Promise<T>,
): Promise<T> {
  const file: FileHandle = await open(`/proc/${pid}/ns/net`, 'r');
  try {
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8');
    if (!groups.includes(containerId))
      throw new ToolError(`process ${pid} is not of container ${containerId}`);
    const path = `/proc/${process.pid}/fd/${file.fd}`;
    return await work(path);
  } finally {
    await file.close();
  }
}

function hostEnd(name: string, namespace: string, gateway: string, address: string, mtu: number): string {
  return [
    `link add name ${name} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${namespace}`,
    // Without an address of the newer kind, by which a task could speak to the machine.
    `link set dev ${name} addrgenmode none`,
    `address add ${gateway}/32 dev ${name}`,
    `link set dev ${name} up`,
    `route add ${address}/32 dev ${name}`,
    '',
  ].join('\n');
}

function taskEnd(gateway: string, address: string): string {
  return [
    `address add ${address}/32 dev eth0`,
    'link set dev eth0 up',
    `route add ${gateway}/32 dev eth0 scope link`,
    `route add default via ${gateway} dev eth0`,
    '',
  ].join('\n');
}

/** What goes to the task is slowed down on the machine's end, what comes from it on its own, out of its reach. */
async function limitRate(namespace: string, interfaceName: string, megabits: number): Promise<void> {
  // A bucket of 20 ms, and room for 100 ms of what waits.
  const burst = Math.max(16_000, Math.round((megabits * 1e6 * 0.02) / 8));
  const rule = ['root', 'tbf', 'rate', `${megabits}mbit`, 'burst', String(burst), 'latency', '100ms'];
  await runTool('tc', ['qdisc', 'replace', 'dev', interfaceName, ...rule]);
  await runTool('nsenter', [`--net=${namespace}`, 'tc', 'qdisc', 'replace', 'dev', 'eth0', ...rule]);
}

function addressAt(offset: number): string {
  return `198.${18 + (offset >> 16)}.${(offset >> 8) & 255}.${offset & 255}`;
}

/** A path that carries less than 1500 bytes at a time would swallow what is larger, on networks that lose the notice. */
async function outwardMtu(): Promise<number> {
  const routes = await readFile('/proc/net/route', 'utf8');
  const outward = routes.split('\n').find((line) => /^\S+\s+00000000\s/.test(line));
  const name = outward?.split(/\s/)[0];
  if (name === undefined || !/^[\w.@-]+$/.test(name)) return 1_500;
  const mtu = Number((await readFile(`/sys/class/net/${name}/mtu`, 'utf8')).trim());
  return Math.min(1_500, Math.max(1_280, mtu));
}
