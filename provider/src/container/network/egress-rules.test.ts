import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { agentsIn, hostNames, hostRules, namespaceRules, neverReached, ownNetworks } from './egress-rules.ts';
import { holdProgram } from './hold-program.ts';

const lines = (rules: string) => rules.split('\n');

describe('the rules inside of a task’s namespace', () => {
  const internet = namespaceRules({ kind: 'internet' }, '198.18.0.3', ['203.0.113.0/24']);
  const proxy = namespaceRules({ kind: 'proxy', address: '198.18.0.2', port: 3128 }, '198.18.0.3', []);

  test('let nothing through that no rule names, in any direction', () => {
    for (const rules of [internet, proxy])
      for (const chain of ['INPUT', 'FORWARD', 'OUTPUT'])
        expect(lines(rules)).toContain(`:${chain} DROP [0:0]`);
  });

  test('refuse what is never reached, and the owner’s networks, before anything is let out', () => {
    const all = lines(internet);
    const out = all.indexOf('-A OUTPUT -s 198.18.0.3 -j ACCEPT');
    for (const network of [...neverReached, '203.0.113.0/24']) {
      const refused = all.indexOf(`-A OUTPUT -d ${network} -j REJECT --reject-with icmp-admin-prohibited`);
      expect(refused, network).toBeGreaterThan(0);
      expect(refused).toBeLessThan(out);
    }
  });

  test('with a proxy let out to that alone', () => {
    expect(lines(proxy).filter((line) => line.startsWith('-A OUTPUT') && line.endsWith('ACCEPT'))).toEqual([
      '-A OUTPUT -o lo -j ACCEPT',
      '-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
      '-A OUTPUT -s 198.18.0.3 -p tcp -d 198.18.0.2 --dport 3128 -j ACCEPT',
    ]);
  });
});

test('no private, shared, local, metadata or multicast address is outside of what is never reached', () => {
  const list = new BlockList();
  for (const network of neverReached) {
    const [base = '', bits] = network.split('/');
    list.addSubnet(base, Number(bits), 'ipv4');
  }
  const forbidden =
    '10.0.0.1 172.16.0.1 172.31.255.254 192.168.1.1 100.64.0.1 100.100.100.200 169.254.169.254 127.0.0.1 0.0.0.0 ' +
    '224.0.0.251 255.255.255.255 198.18.0.1 192.0.0.192';
  for (const address of forbidden.split(' ')) expect(list.check(address), address).toBe(true);
  for (const address of ['1.1.1.1', '172.32.0.1', '100.128.0.1', '198.20.0.1', '223.255.255.255'])
    expect(list.check(address), address).toBe(false);
});

test('the machine’s rules replace whole chains, and drop what comes to the machine itself', () => {
  const names = hostNames('agent-1');
  const rules = lines(hostRules(names, ['203.0.113.0/24']));
  for (const chain of [names.forward, names.back, names.input, names.masquerade])
    expect(rules).toContain(`:${chain} - [0:0]`);
  expect(rules.filter((line) => line.startsWith(`-A ${names.input}`)).at(-1)).toBe(
    `-A ${names.input} -j DROP`,
  );
  expect(rules).toContain(
    `-A ${names.forward} -d 203.0.113.0/24 -j REJECT --reject-with icmp-admin-prohibited`,
  );
});

test('agents on one machine have names of their own, and are found again by them', () => {
  const [one, other] = [hostNames('agent-1'), hostNames('agent-2')];
  expect(one.input).not.toBe(other.input);
  // Linux: 15 characters for an interface, of which the number of the link takes four; 28 for a chain.
  expect(one.interfacePrefix.length + 4).toBeLessThanOrEqual(15);
  const saved = [one, other].map(({ input }) => `:${input} - [0:0]`).join('\n');
  expect(agentsIn(`*filter\n:INPUT ACCEPT [0:0]\n${saved}\nCOMMIT\n`)).toEqual([one, other]);
});

test('the machine’s own networks are read from its routing table, public ones too, links of tasks not', () => {
  const table = [
    'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'tun0\t00000A0A\t0102000A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'cf123456aaaa\t135713C6\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0',
    '',
  ].join('\n');
  expect(ownNetworks(table)).toEqual(['192.0.2.0/24', '172.17.0.0/16']);
});

test.runIf(process.platform === 'linux' && process.arch === 'x64')(
  'the holder’s program sleeps, and does nothing else',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'cf-hold-'));
    try {
      const path = join(folder, 'hold');
      writeFileSync(path, holdProgram('x64'), { mode: 0o755 });
      // It is still there when its time is cut short: a mistake in it would have ended it at once.
      expect(spawnSync(path, { timeout: 300 }).signal).toBe('SIGTERM');
      expect(holdProgram('arm64').length).toBe(168);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
