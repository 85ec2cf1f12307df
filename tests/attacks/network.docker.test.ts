import { execFileSync } from 'node:child_process';
import { connect, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { once } from 'node:events';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { TaskNetwork } from '../../provider/src/container/container-driver.ts';
import { DockerDriver } from '../../provider/src/container/docker-driver.ts';
import { parseEngineAddress } from '../../provider/src/container/engine-address.ts';
import { hostNames } from '../../provider/src/container/network/egress-rules.ts';
import { importImage, shellLayer } from '../../provider/src/container/testing/shell-image.ts';
import { testTaskSpec } from '../../provider/src/container/testing/task-spec.ts';
import { type Neighbourhood, openNeighbourhood, type Place } from './neighbourhood.ts';

const address = parseEngineAddress(process.env.DOCKER_HOST ?? null);
const client = new Docker(address);
const run = `${process.pid}-${Date.now().toString(36)}`;
const image = `computefabric/test-attacks-${run}:1`;

let around: Neighbourhood;
/** A service of the owner's, on every address of the machine. */
let ownersService: Server;
let agentId = '';
let driver: DockerDriver;
let tests = 0;
const problems: string[] = [];
/** What the proxy's name server says. */
const names = new Map<string, () => string[]>();

beforeAll(async () => {
  await importImage(client, image, await shellLayer(), ['ENV PATH=/bin']);
  around = await openNeighbourhood();
  ownersService = createServer((socket) => socket.end('hello from the machine\n')).listen(0, '::');
  await once(ownersService, 'listening');
});

afterAll(async () => {
  around?.close();
  ownersService?.close();
  await client.getImage(image).remove({ force: true });
});

beforeEach(() => {
  tests += 1;
  agentId = `attacks-${run}-${tests}`;
  driver = newDriver();
});

afterEach(async () => {
  for (const { leaseId } of await driver.listOwned()) await driver.removeLease(leaseId);
  await driver.close();
});

function newDriver(): DockerDriver {
  return new DockerDriver({
    address,
    agentId,
    egress: {
      most: 'internet',
      denied: [],
      resolvers: [around.internet.host],
      megabitsPerSecond: 100,
      resolve: async (host) => names.get(host)?.() ?? [],
      onProblem: (problem) => problems.push(problem),
    },
    prepareNetworks: true,
  });
}

/** A task that waits to be told what to try. */
async function startTask(leaseId: string, mode: TaskNetwork['mode'], allow: string[] = []): Promise<string> {
  const command = 'nc -ll -p 7777 -e echo hello from a neighbour & sleep 600';
  const id = await driver.createTask(testTaskSpec({ leaseId, image, command, network: { mode, allow } }));
  await driver.startTask(id);
  return id;
}

/** The places among these from which a program in the task gets an answer. */
async function reached(id: string, places: readonly Place[]): Promise<string[]> {
  const tries = places.map(
    ({ name, host, port }) => `(nc -w 15 ${host} ${port} </dev/null 2>&1 | grep -q hello && echo ${name}) &`,
  );
  const { output, exitCode } = await driver.runInside(id, `${tries.join('\n')}\nwait; echo tried`, {
    deadlineSeconds: 60,
    signal: AbortSignal.timeout(90_000),
  });
  expect(exitCode).toBe(0);
  expect(output).toContain('tried');
  return output
    .split('\n')
    .filter((line) => line !== '' && line !== 'tried')
    .sort();
}

/** What the machine itself reaches: the stand-ins really are there. */
function reachedByOwner({ host, port }: Place): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on('data', () => resolve(true));
    socket.on('close', () => resolve(false));
    socket.on('error', () => resolve(false));
  });
}

/** This machine, on each of its addresses. */
function machineItself(): Place[] {
  const bound = ownersService.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return Object.entries(networkInterfaces()).flatMap(([device, addresses]) =>
    (addresses ?? [])
      .filter(({ internal, scopeid }) => !internal && !scopeid)
      .map(({ address: host }) => ({ name: `machine:${device}`, host, port })),
  );
}

function addressOf(containerId: string): string {
  const shown = inNetworkOf(containerId, 'ip', '-4', '-o', 'address', 'show', 'dev', 'eth0');
  return /inet ([\d.]+)/.exec(shown)?.[1] ?? '';
}

/** Runs a program of the machine in the network of a container. */
function inNetworkOf(containerId: string, ...command: string[]): string {
  const pid = execFileSync('docker', ['inspect', '-f', '{{.State.Pid}}', containerId], { encoding: 'utf8' });
  return execFileSync('nsenter', [`--net=/proc/${pid.trim()}/ns/net`, ...command], { encoding: 'utf8' });
}

test('a job reaches the internet, and not the machine, its network, clouds’ metadata, mail servers or a neighbour', async () => {
  const [attacker, neighbour] = [
    await startTask('lease_a', 'internet'),
    await startTask('lease_b', 'internet'),
  ];
  const next: Place = { name: 'neighbour', host: addressOf(neighbour), port: 7777 };
  const gateway: Place = {
    name: 'gateway',
    host: gatewayOf(addressOf(attacker)),
    port: machineItself()[0]?.port ?? 0,
  };
  const forbidden = [...around.forbidden, around.mail, ...machineItself(), gateway, next];
  for (const place of [around.internet, ...around.forbidden, around.mail, ...machineItself()])
    expect(await reachedByOwner(place), place.name).toBe(true);

  expect(await reached(attacker, [around.internet, ...forbidden])).toEqual(['internet']);
  // Neither end of the wire carries more than the owner allows; the job's own it cannot change.
  const rates = execFileSync('tc', ['qdisc', 'show'], { encoding: 'utf8' })
    .split('\n')
    .filter(
      (line) => line.includes(` dev ${hostNames(agentId).interfacePrefix}`) && line.includes('rate 100Mbit'),
    );
  expect(rates.length).toBeGreaterThanOrEqual(2);
  expect(inNetworkOf(attacker, 'tc', 'qdisc', 'show', 'dev', 'eth0')).toContain('rate 100Mbit');
  // And the other one is as it was.
  expect(await reached(neighbour, [around.internet, { ...next, host: '127.0.0.1' }])).toEqual([
    'internet',
    'neighbour',
  ]);
  expect(problems).toEqual([]);
});

function gatewayOf(taskAddress: string): string {
  const parts = taskAddress.split('.');
  return [...parts.slice(0, 3), Number(parts[3]) - 1].join('.');
}

test('a job asks the name server that its owner’s machine gives it, and one without a network asks nobody', async () => {
  const ask = async (id: string) =>
    driver.runInside(id, 'nslookup secret.example.com; true', {
      deadlineSeconds: 30,
      signal: AbortSignal.timeout(60_000),
    });
  const silent = await startTask('lease_none', 'none');
  const before = around.questions();
  await ask(silent);
  expect(around.questions()).toBe(before);
  expect(await reached(silent, [around.internet, ...around.forbidden, ...machineItself()])).toEqual([]);

  const open = await startTask('lease_open', 'internet');
  expect((await ask(open)).output).toContain('NXDOMAIN');
  expect(around.questions()).toBeGreaterThan(before);
});

test('with an allowlist a job reaches the servers that it names, by the proxy, and nothing else in any way', async () => {
  const home = around.forbidden.find(({ name }) => name === 'home')?.host ?? '';
  let asked = 0;
  names.set('good.example.com', () => [around.internet.host]);
  names.set('other.example.org', () => [around.internet.host]);
  names.set('inside.example.com', () => [home]);
  names.set('both.example.com', () => [around.internet.host, home]);
  names.set('meta.example.com', () => ['169.254.169.254']);
  // Public when it is looked at, private a moment later: there is no second look.
  names.set('rebind.example.com', () => {
    asked += 1;
    return [asked % 2 === 1 ? around.internet.host : home];
  });
  const id = await startTask('lease_named', 'allowlist', ['*.example.com', 'inside.example.com:80']);
  const through = async (target: string) => {
    const { output } = await driver.runInside(
      id,
      `p=\${http_proxy#http://}; (printf 'CONNECT ${target} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'; sleep 1) | nc -w 10 \${p%:*} \${p#*:}`,
      { deadlineSeconds: 30, signal: AbortSignal.timeout(60_000) },
    );
    return /^HTTP\/1.1 (\d+)/.exec(output)?.[1] + (/hello from ([\d.]+)/.exec(output)?.[1] ?? '');
  };
  const fine = `200${around.internet.host}`;
  const answers: Record<string, string> = {
    'good.example.com:443': fine,
    'GOOD.example.com.:443': fine,
    'rebind.example.com:443': fine,
    'other.example.org:443': '403',
    'good.example.com:25': '403',
    'inside.example.com:80': '403',
    'both.example.com:443': '403',
    'meta.example.com:80': '403',
    'unknown.example.com:443': '403',
    [`${around.internet.host}:443`]: '403',
    '127.0.0.1:80': '403',
  };
  const given = await Promise.all(
    Object.keys(answers).map(async (target) => [target, await through(target)] as const),
  );
  expect(Object.fromEntries(given)).toEqual(answers);
  const { output } = await driver.runInside(
    id,
    'wget -q -O - http://good.example.com/ http://inside.example.com/',
    {
      deadlineSeconds: 30,
      signal: AbortSignal.timeout(60_000),
    },
  );
  expect(output.match(/hello from .*/g)).toEqual([`hello from ${around.internet.host}`]);
  // Nothing goes past the proxy, names neither, and nobody else may use it.
  const before = around.questions();
  expect(await reached(id, [around.internet, ...around.forbidden, around.mail, ...machineItself()])).toEqual(
    [],
  );
  await driver.runInside(id, 'nslookup secret.example.com; true', {
    deadlineSeconds: 30,
    signal: AbortSignal.timeout(60_000),
  });
  expect(around.questions()).toBe(before);
  const proxy: Place = { name: 'proxy', host: gatewayOf(addressOf(id)), port: 3_128 };
  const other = await startTask('lease_other', 'internet');
  expect(await reached(other, [proxy])).toEqual([]);

  // The agent goes away and comes back: the job is let out again, to the same servers.
  await driver.close();
  expect(await through('good.example.com:443')).not.toBe(fine);
  driver = newDriver();
  expect((await driver.networks()).note).toBeNull();
  expect(await through('good.example.com:443')).toBe(fine);
  expect(await through('other.example.org:443')).toBe('403');
});

test('the job cannot change its own rules, addresses or routes', async () => {
  const id = await startTask('lease_tricks', 'internet');
  const tricks = [
    'ip link set eth0 down',
    'ip address add 192.168.0.77/24 dev eth0',
    'ip route add 192.168.0.0/16 dev eth0',
    'ping -c 1 -W 1 127.0.0.1',
    'echo 0 > /proc/sys/net/ipv6/conf/all/disable_ipv6',
    'unshare -n true',
    'nsenter -t 1 -n true',
    'mount -t tmpfs none /mnt',
  ];
  const { output } = await driver.runInside(
    id,
    tricks.map((trick, index) => `(${trick}) >/dev/null 2>&1 && echo done ${index}`).join('; '),
    { deadlineSeconds: 30, signal: AbortSignal.timeout(60_000) },
  );
  // What does no harm: a program may look at its own namespace through its own process.
  expect(output.split('\n').filter((line) => line.startsWith('done') && line !== 'done 6')).toEqual([]);
  expect(await reached(id, [around.internet, ...around.forbidden])).toEqual(['internet']);
});

test('rules hold when somebody flushes the firewall, and the machine’s are put back', async () => {
  const id = await startTask('lease_kept', 'internet');
  const names = hostNames(agentId);
  const flush = () => {
    for (const chain of [names.forward, names.input, names.back])
      execFileSync('iptables', ['-w', '5', '-F', chain]);
  };
  flush();
  expect(await reached(id, [...around.forbidden, around.mail])).toEqual([]);

  await vi.waitFor(
    () => expect(execFileSync('iptables', ['-S', names.input], { encoding: 'utf8' })).toContain('-j DROP'),
    { timeout: 60_000, interval: 500 },
  );
  expect(await reached(id, [around.internet, ...around.forbidden, ...machineItself()])).toEqual(['internet']);
});

test('nothing is left: no rule, no interface, no namespace holder', async () => {
  await startTask('lease_gone', 'internet');
  const names = hostNames(agentId);
  const left = () =>
    execFileSync(
      '/bin/sh',
      [
        '-c',
        `iptables-save | grep -c ${names.forward.slice(0, 9)}; ip -o link | grep -c ${names.interfacePrefix}; true`,
      ],
      {
        encoding: 'utf8',
      },
    ).trim();
  expect(left()).not.toBe('0\n0');
  await driver.removeLease('lease_gone');
  await driver.close();
  expect(left()).toBe('0\n0');
});
