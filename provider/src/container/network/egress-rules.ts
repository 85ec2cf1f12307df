import { createHash } from 'node:crypto';

/*
 * The firewall of tasks, as text for `iptables-restore`. Twice: inside of a task's own network namespace, where
 * nothing that happens to the owner's firewall can touch it and which takes its rules along when it goes, and on the
 * machine, for whatever would leave a namespace all the same and for what only the machine can forbid: itself.
 */

/** Never reached by a task, whatever it asks for. IPv6 is off in a task's namespace. */
export const neverReached = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // shared by a provider's customers; metadata of some clouds
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local: cloud metadata
  '172.16.0.0/12', // private; Docker's own networks
  '192.0.0.0/24', // protocol assignments; metadata of some clouds
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks; here: the links of tasks
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and the broadcast address
] as const;

/** Mail: a home connection that sends any is cut off by its provider. */
const MAIL_PORTS = '25,465,587,2525';
/** New connections of one task that may be open at once: a downloader has dozens, a port scan has thousands. */
const MOST_CONNECTIONS = 256;

/** What a task with a network may do. `proxy`: nothing but this address of the agent's proxy. */
export type Egress = { kind: 'internet' } | { kind: 'proxy'; address: string; port: number };

/** The rules inside of a task's namespace. `source` is its one address. */
export function namespaceRules(egress: Egress, source: string, alsoNever: readonly string[]): string {
  return [
    '*filter',
    ':INPUT DROP [0:0]',
    ':FORWARD DROP [0:0]',
    ':OUTPUT DROP [0:0]',
    '-A INPUT -i lo -j ACCEPT',
    '-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
    '-A OUTPUT -o lo -j ACCEPT',
    '-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
    ...(egress.kind === 'proxy'
      ? [`-A OUTPUT -s ${source} -p tcp -d ${egress.address} --dport ${egress.port} -j ACCEPT`]
      : [
          ...refuse('OUTPUT', alsoNever),
          `-A OUTPUT -p tcp -m multiport --dports ${MAIL_PORTS} -j REJECT --reject-with tcp-reset`,
          `-A OUTPUT -p tcp --syn -m connlimit --connlimit-above ${MOST_CONNECTIONS} --connlimit-mask 0 -j REJECT --reject-with tcp-reset`,
          `-A OUTPUT -s ${source} -j ACCEPT`,
        ]),
    '-A OUTPUT -p tcp -j REJECT --reject-with tcp-reset',
    '-A OUTPUT -j REJECT --reject-with icmp-admin-prohibited',
    'COMMIT',
    '',
  ].join('\n');
}

/** How the chains and interfaces of one agent are called. Several agents may work on a machine. */
export interface HostNames {
  /** All interfaces of this agent's tasks begin with it: Linux allows 15 characters. */
  interfacePrefix: string;
  forward: string;
  back: string;
  input: string;
  masquerade: string;
}

export function hostNames(agentId: string): HostNames {
  return namesOfMark(createHash('sha256').update(agentId).digest('hex').slice(0, 6));
}

function namesOfMark(mark: string): HostNames {
  return {
    interfacePrefix: `cf${mark}`,
    forward: `CF-${mark}-OUT`,
    back: `CF-${mark}-BACK`,
    input: `CF-${mark}-HOST`,
    masquerade: `CF-${mark}-NAT`,
  };
}

/** All agents whose chains are among what `iptables-save` says. */
export function agentsIn(saved: string): HostNames[] {
  const marks = [...saved.matchAll(/^:CF-([0-9a-f]{6})-HOST /gm)].map(([, mark]) => mark ?? '');
  return [...new Set(marks)].map(namesOfMark);
}

/** The links of all agents' tasks: what no network uses, so that nothing of the owner's is hidden by it. */
export const linkNetwork = '198.18.0.0/15';

/** The port at which the agent's proxy listens on the machine's end of a task's link. */
export const proxyPort = 3128;

/** The chains on the machine, each replaced as a whole: no moment has the old ones gone and the new ones not there. */
export function hostRules(names: HostNames, alsoNever: readonly string[]): string {
  const { forward, back, input, masquerade } = names;
  return [
    '*filter',
    `:${forward} - [0:0]`,
    `:${back} - [0:0]`,
    `:${input} - [0:0]`,
    ...refuse(forward, alsoNever),
    `-A ${forward} -s ${linkNetwork} -j ACCEPT`,
    `-A ${forward} -j DROP`,
    `-A ${back} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`,
    `-A ${back} -j DROP`,
    // The task's own rules let nobody come here but those whose only way out is the proxy.
    `-A ${input} -p tcp -s ${linkNetwork} -d ${linkNetwork} --dport ${proxyPort} -j ACCEPT`,
    `-A ${input} -p tcp -j REJECT --reject-with tcp-reset`,
    `-A ${input} -j DROP`,
    'COMMIT',
    '*nat',
    `:${masquerade} - [0:0]`,
    `-A ${masquerade} -s ${linkNetwork} -j MASQUERADE`,
    'COMMIT',
    '',
  ].join('\n');
}

/** Where traffic enters these chains. */
export function hostJumps(names: HostNames): readonly { table: string; chain: string; rule: string[] }[] {
  const ours = `${names.interfacePrefix}+`;
  return [
    { table: 'filter', chain: 'FORWARD', rule: ['-o', ours, '-j', names.back] },
    { table: 'filter', chain: 'FORWARD', rule: ['-i', ours, '-j', names.forward] },
    { table: 'filter', chain: 'INPUT', rule: ['-i', ours, '-j', names.input] },
    { table: 'nat', chain: 'POSTROUTING', rule: ['-s', linkNetwork, '-j', names.masquerade] },
  ];
}

function refuse(chain: string, alsoNever: readonly string[]): string[] {
  // A reset ends an attempt at once; anything else lets a program wait for a second each time.
  return [...neverReached, ...alsoNever].flatMap((network) => [
    `-A ${chain} -d ${network} -p tcp -j REJECT --reject-with tcp-reset`,
    `-A ${chain} -d ${network} -j REJECT --reject-with icmp-admin-prohibited`,
  ]);
}

/**
 * The networks that the machine reaches without a router, from `/proc/net/route`: the owner's own, also where its
 * addresses are public ones. Links of tasks are left out: they are named above, all of them.
 */
export function ownNetworks(procNetRoute: string): string[] {
  const found = new Set<string>();
  for (const line of procNetRoute.split('\n').slice(1)) {
    const [name, destination, gateway, , , , , mask] = line.trim().split(/\s+/);
    if (!name || !destination || !mask || gateway !== '00000000') continue;
    const bits = bitsOf(mask);
    const network = `${addressOf(destination)}/${bits}`;
    if (bits > 0 && !network.startsWith('198.18.') && !network.startsWith('198.19.')) found.add(network);
  }
  return [...found];
}

/** The kernel writes these numbers in its own byte order, the lowest byte first on every machine that we run on. */
function addressOf(hex: string): string {
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.');
}

function bitsOf(hexMask: string): number {
  return Number.parseInt(hexMask, 16).toString(2).replaceAll('0', '').length;
}
