import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from './atomic-file.ts';

/** Everything that the agent keeps on disk, below PROVIDER_HOME. */
export interface AgentHome {
  root: string;
  /** The machine's identity on the market. */
  credential: string;
  /** What it signs its metering with. */
  signingKey: string;
  /** Marks what agents of this folder make on the engine. */
  agentId: string;
  /** Names the process that works in this folder. */
  agentLock: string;
  /** Where the owner's commands arrive, in a folder of its own. */
  controlSocket: string;
  /** Names the watchdog of this folder. */
  guardLock: string;
  /** What the watchdog did. */
  guardLog: string;
  /** One folder per task, named by its lease. */
  tasks: string;
  /** What the cards were set to before the owner's limit. */
  powerLimits: string;
  /** What tasks write, as long as it is not mounted: empty but for a moment. */
  disks: string;
  /** Which images the agent has pulled: those it may remove. */
  images: string;
  /** State of jobs for their next tries, one folder per job. */
  states: string;
}

export function agentHome(root: string): AgentHome {
  return {
    root,
    credential: join(root, 'credential.json'),
    signingKey: join(root, 'signing-key.pem'),
    agentId: join(root, 'agent-id'),
    agentLock: join(root, 'agent.lock'),
    controlSocket: join(root, 'control', 'agent.sock'),
    guardLock: join(root, 'guard.lock'),
    guardLog: join(root, 'guard.log'),
    tasks: join(root, 'tasks'),
    powerLimits: join(root, 'power-limits.json'),
    disks: join(root, 'disks'),
    images: join(root, 'images.json'),
    states: join(root, 'states'),
  };
}

/** Makes the folders; only their owner may look into them, for they hold output and results of other people. */
export async function prepareHome(home: AgentHome): Promise<void> {
  await mkdir(home.tasks, { recursive: true, mode: 0o700 });
}

/**
 * The mark by which agents of this folder know their own containers. It is made at the first start and stays,
 * also when the machine joins another market. The caller holds the agent's lock.
 */
export async function obtainAgentId(home: AgentHome): Promise<string> {
  const known = await readAgentId(home);
  if (known) return known;
  const id = `agent-${randomBytes(12).toString('hex')}`;
  await writeFileAtomically(home.agentId, `${id}\n`);
  return id;
}

/** The mark, or null when no agent has worked in this folder yet. */
export async function readAgentId(home: AgentHome): Promise<string | null> {
  try {
    return (await readFile(home.agentId, 'utf8')).trim() || null;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
