import { readFile } from 'node:fs/promises';
import { toError } from '@computefabric/runtime/errors';
import { agentsIn, hostJumps, hostNames, type HostNames, hostRules, ownNetworks } from './egress-rules.ts';
import { runTool, ToolError } from './run-tool.ts';

const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;
/** Another program may hold the firewall's lock. */
const LOCK = ['-w', '5'];

/** Why this process cannot give tasks a network; null when it can. */
export async function whyNoNetwork(engineIsLocal: boolean): Promise<string | null> {
  if (process.platform !== 'linux') return 'tasks get a network on Linux alone';
  if (!engineIsLocal) return 'the Docker engine is on another machine';
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const able = (capability: bigint) => ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
  if (!able(CAP_NET_ADMIN) || !able(CAP_SYS_ADMIN)) return 'the agent does not run as root';
  for (const tool of ['ip', 'nsenter', 'iptables', 'iptables-restore']) {
    try {
      await runTool(tool, [tool === 'ip' ? '-V' : '--version']);
    } catch {
      return `the program ${tool} is missing or does not run`; // What it said is of no more help.
    }
  }
  const forwards = (await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).trim() === '1';
  return forwards ? null : 'the system does not forward packets (net.ipv4.ip_forward is 0)';
}

/** One agent's chains on the machine: see `hostRules`. Every call may be repeated. */
export class HostFirewall {
  readonly names: HostNames;
  readonly #ownersDenied: readonly string[];
  /** What was put in place, and how the firewall tells of it. */
  #installed: { rules: string; standing: string } | null = null;

  constructor(agentId: string, ownersDenied: readonly string[]) {
    this.names = hostNames(agentId);
    this.#ownersDenied = ownersDenied;
  }

  /** What tasks never reach beside `neverReached`: the owner's own networks as they are now, and what he names. */
  async alsoNever(): Promise<string[]> {
    return [...ownNetworks(await readFile('/proc/net/route', 'utf8')), ...this.#ownersDenied];
  }

  /**
   * Puts everything in place that is not there: at the start, when the owner's networks have changed, and after
   * somebody flushed or reordered the firewall. Tells whether anything had to be done.
   */
  async ensure(): Promise<boolean> {
    const rules = hostRules(this.names, await this.alsoNever());
    if (this.#installed?.rules === rules && this.#installed.standing === (await this.#standing()))
      return false;
    this.#installed = null;
    await runTool('iptables-restore', [...LOCK, '-n'], rules);
    for (const { table, chain, rule } of hostJumps(this.names)) {
      // First place, whoever came in before us. The new one first and then the old one: no moment is without.
      await runTool('iptables', [...LOCK, '-t', table, '-I', chain, '1', ...rule]);
      const ours = ['-A', chain, ...rule].join(' ');
      const places = (await runTool('iptables', [...LOCK, '-t', table, '-S', chain]))
        .split('\n')
        .filter((line) => line.startsWith('-A'))
        .flatMap((line, index) => (line === ours && index > 0 ? [index + 1] : []));
      for (const place of places.reverse())
        await runTool('iptables', [...LOCK, '-t', table, '-D', chain, String(place)]);
    }
    this.#installed = { rules, standing: await this.#standing() };
    return true;
  }

  /** Takes everything away. Nothing being there is fine. */
  async remove(): Promise<void> {
    this.#installed = null;
    if ((await this.#standing()) !== '') await removeChains(this.names);
  }

  /**
   * Agents with chains on this machine and no task and nothing prepared: idle for this moment, or gone for good
   * together with their watchdogs. Our own is never among them.
   */
  async idleAgents(): Promise<HostNames[]> {
    const agents = agentsIn(await runTool('iptables-save', ['-t', 'filter']));
    const links = (await runTool('ip', ['-o', 'link'])).split('\n');
    return agents.filter(
      ({ interfacePrefix, input }) =>
        input !== this.names.input && !links.some((line) => line.includes(` ${interfacePrefix}`)),
    );
  }

  /** Every line of the firewall that names one of our chains, in its order: equal as long as nobody touched them. */
  async #standing(): Promise<string> {
    const { forward, back, input, masquerade } = this.names;
    const all = (await runTool('iptables-save', [])).split('\n');
    return all
      .filter((line) => [forward, back, input, masquerade].some((chain) => line.includes(chain)))
      .map((line) => line.replace(/ \[\d+:\d+\]$/, ''))
      .join('\n');
  }
}

/** An agent that lives after all puts them back before it lets anybody out. */
export async function removeChains(names: HostNames): Promise<void> {
  for (const { table, chain, rule } of hostJumps(names)) {
    // A crash in the middle of `ensure` may have left one twice.
    for (let times = 0; times < 5; times += 1) if (!(await holds(['-t', table, '-D', chain, ...rule]))) break;
  }
  const { forward, back, input, masquerade } = names;
  for (const [table, chain] of [
    ['filter', forward],
    ['filter', back],
    ['filter', input],
    ['nat', masquerade],
  ] as const) {
    if (await holds(['-t', table, '-F', chain])) await holds(['-t', table, '-X', chain]);
  }
}

/** Whether iptables says yes. */
async function holds(args: readonly string[]): Promise<boolean> {
  try {
    await runTool('iptables', [...LOCK, ...args]);
    return true;
  } catch (thrown) {
    if (thrown instanceof ToolError) return false;
    throw toError(thrown);
  }
}
