import { isStateDirectory } from '@computefabric/protocol/user-api/run-terms';
import { ContainerError } from './container-error.ts';
import type { TaskSpec } from './container-driver.ts';

/** The kernel's limit for one argument or one `NAME=value`, with its closing NUL. */
const MAX_ARGUMENT_BYTES = 128 * 1024 - 1;
const MAX_ARGUMENTS_TOTAL_BYTES = 1024 * 1024;
const SAFE_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$/;
/** Names one card or one slice of a card. Never `all` or an index: those would reach other tasks' cards. */
const GPU_UUID = /^(GPU|MIG)-[0-9A-Za-z][0-9A-Za-z-]{0,95}$/;

/**
 * Throws `task-spec-invalid` when a field is out of range. The orchestrator has checked before, but what runs on
 * the owner's machine is decided on the owner's machine: nothing here trusts the other side.
 */
export function checkTaskSpec(spec: TaskSpec): void {
  check(
    SAFE_ID.test(spec.leaseId),
    'leaseId',
    'must be 1 to 96 letters, digits, dots, dashes or underscores',
  );
  check(SAFE_ID.test(spec.jobId), 'jobId', 'must be 1 to 96 letters, digits, dots, dashes or underscores');
  check(Number.isSafeInteger(spec.fence) && spec.fence >= 0, 'fence', 'must be a whole number from 0');
  check(spec.image.length > 0 && spec.image.length <= 512, 'image', 'must be 1 to 512 characters');
  check(inRange(spec.cpus, 0.01, 4096), 'cpus', 'must be from 0.01 to 4096');
  check(isWhole(spec.memoryBytes, 16 * 2 ** 20, 2 ** 46), 'memoryBytes', 'must be from 16 MiB to 64 TiB');
  check(isWhole(spec.pidsLimit, 16, 65536), 'pidsLimit', 'must be from 16 to 65536');
  check(isWhole(spec.shmBytes, 2 ** 20, spec.memoryBytes), 'shmBytes', 'must be from 1 MiB to memoryBytes');
  check(
    spec.gpuUuids.every((uuid) => GPU_UUID.test(uuid)),
    'gpuUuids',
    'must be UUIDs as nvidia-smi prints them',
  );
  check(new Set(spec.gpuUuids).size === spec.gpuUuids.length, 'gpuUuids', 'must not repeat');
  check(
    spec.stateDirectory === null || isStateDirectory(spec.stateDirectory),
    'stateDirectory',
    'must be a directory of its own, outside of /outputs, /proc, /sys and /dev',
  );
  check(isWhole(spec.diskBytes, 0, 2 ** 46), 'diskBytes', 'must be from 0 to 64 TiB');
  checkVariables(spec.variables);
  checkCommand(spec.command);
  checkEnv(spec.env);
}

function checkVariables(variables: TaskSpec['variables']): void {
  check(
    Object.entries(variables).every(
      ([name, value]) => /^COMPUTEFABRIC_[A-Z0-9_]{1,128}$/.test(name) && isArgument(`${name}=${value}`),
    ),
    'variables',
    'must be named COMPUTEFABRIC_…, without NUL and shorter than 128 KiB',
  );
}

function checkCommand(command: TaskSpec['command']): void {
  if (command === null) return;
  const parts = typeof command === 'string' ? [command] : command;
  check(parts.length > 0 && parts[0] !== '', 'command', 'must not be empty');
  check(parts.every(isArgument), 'command', 'must have no NUL and no part of 128 KiB or more');
  check(totalBytes(parts) <= MAX_ARGUMENTS_TOTAL_BYTES, 'command', 'must be at most 1 MiB in all');
}

function checkEnv(env: TaskSpec['env']): void {
  const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  check(
    Object.keys(env).every((name) => name !== '' && !name.includes('=')),
    'env',
    'must have names without "="',
  );
  check(assignments.every(isArgument), 'env', 'must have no NUL and no variable of 128 KiB or more');
  check(totalBytes(assignments) <= MAX_ARGUMENTS_TOTAL_BYTES, 'env', 'must be at most 1 MiB in all');
}

function check(holds: boolean, field: string, rule: string): void {
  if (!holds) throw new ContainerError('task-spec-invalid', `task spec: ${field} ${rule}`);
}

function inRange(value: number, low: number, high: number): boolean {
  return Number.isFinite(value) && value >= low && value <= high;
}

function isWhole(value: number, low: number, high: number): boolean {
  return Number.isSafeInteger(value) && value >= low && value <= high;
}

function isArgument(text: string): boolean {
  return !text.includes('\0') && Buffer.byteLength(text) <= MAX_ARGUMENT_BYTES;
}

function totalBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
}
