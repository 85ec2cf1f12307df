import { isDeepStrictEqual } from 'node:util';
import type Docker from 'dockerode';
import { ContainerError } from './container-error.ts';
import type { TaskSpec } from './container-driver.ts';
import { OUTPUTS_DIRECTORY } from './task-environment.ts';

/**
 * The engine's own copy of a task's output, read only when the agent lost the live one. `local` and not
 * `json-file`: the latter replaces every byte that is not UTF-8. Not compressed, so that reading it back is cheap.
 *
 * Two files of 128 MB are the cap on the owner's disk. One file holds the 64 MiB of output that are kept of a try,
 * with what the engine writes around each line of usual length, so that no rotation falls into what matters.
 */
export const ENGINE_LOG_FILE_BYTES = 128_000_000;
const ENGINE_LOG_FILES = 2;

/** Not above what an engine started by hand may hand out. A core file would fill the task's writable layer for nobody. */
const ULIMITS = [
  { Name: 'nofile', Soft: 8192, Hard: 8192 },
  { Name: 'core', Soft: 0, Hard: 0 },
];

/** The engine's type, with what its type definitions lack. */
export type TaskHostConfig = Docker.HostConfig & { CgroupnsMode: 'private' };

export interface HostConfigInput {
  spec: Pick<TaskSpec, 'cpus' | 'memoryBytes' | 'pidsLimit' | 'shmBytes' | 'gpuUuids'>;
  /** `none`, or the name of the task's own network. */
  networkMode: string;
  /** What runs the program, where it is not the engine's usual runtime. */
  runtime: string | null;
  /** Directories that the image declares as VOLUME. */
  imageVolumes: readonly string[];
  /** Where the task keeps state that is read from outside, which a memory file system would hide. */
  stateDirectory: string | null;
  /** Size of one file of the engine's own log. */
  engineLogFileBytes: number;
}

/**
 * The settings of every task's container. Nothing a renter says reaches this object but the numbers named in
 * `HostConfigInput` and the UUIDs of the leased GPUs. Dangerous settings are written out as "off" although off is
 * the engine's default, so that `findTemplateMismatch` can see that they stayed off.
 *
 * The seccomp and AppArmor profiles are the engine's defaults: naming none keeps them.
 */
export function hostConfig(input: HostConfigInput): TaskHostConfig {
  const { spec, networkMode, runtime, imageVolumes, stateDirectory, engineLogFileBytes } = input;
  return {
    Privileged: false,
    CapAdd: [],
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    ReadonlyRootfs: false,
    PidMode: '',
    UTSMode: '',
    UsernsMode: '',
    IpcMode: 'private',
    CgroupnsMode: 'private',
    CgroupParent: '',
    ...(runtime === null ? {} : { Runtime: runtime }),

    Binds: [],
    Mounts: [],
    VolumesFrom: [],
    Tmpfs: volumeCovers(imageVolumes, stateDirectory, spec.memoryBytes),
    Devices: [],
    DeviceCgroupRules: [],
    DeviceRequests: gpuRequests(spec.gpuUuids),
    GroupAdd: [],
    Sysctls: {},

    NetworkMode: networkMode,
    PortBindings: {},
    PublishAllPorts: false,
    Links: [],
    ExtraHosts: [],
    Dns: [],
    DnsOptions: [],
    DnsSearch: [],

    NanoCpus: Math.round(spec.cpus * 1e9),
    Memory: spec.memoryBytes,
    // Memory plus swap: equal means no swap, so a task cannot drive the owner's machine into thrashing.
    MemorySwap: spec.memoryBytes,
    OomKillDisable: false,
    // When the whole machine runs short, a task dies before anything of the owner's.
    OomScoreAdj: 500,
    PidsLimit: spec.pidsLimit,
    ShmSize: spec.shmBytes,
    Ulimits: ULIMITS,

    Init: true,
    AutoRemove: false,
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    LogConfig: {
      Type: 'local',
      Config: {
        'max-size': String(engineLogFileBytes),
        'max-file': String(ENGINE_LOG_FILES),
        compress: 'false',
        mode: 'blocking',
      },
    },
  };
}

/**
 * The first setting that the engine did not take over as asked, as `name: expected …, got …`; null when all did.
 * Only what we ask for is compared: engines add fields of their own, and a new version must not stop every task.
 */
export function findTemplateMismatch(expected: TaskHostConfig, actual: object): string | null {
  const got = new Map(Object.entries(actual));
  for (const [name, value] of Object.entries(expected)) {
    if (!covers(value, got.get(name))) {
      return `${name}: expected ${JSON.stringify(value)}, got ${JSON.stringify(got.get(name))}`;
    }
  }
  return null;
}

/**
 * An image's VOLUME would become a directory on the host's disk without a limit, left behind by a plain remove.
 * A memory file system over each one takes its place; what is written there counts against the task's memory.
 */
function volumeCovers(
  imageVolumes: readonly string[],
  stateDirectory: string | null,
  memoryBytes: number,
): Record<string, string> {
  if (imageVolumes.length > 16) refuseVolumes('declares more than 16 volumes');
  const sizeBytes = Math.floor(memoryBytes / 2);
  const covers: Record<string, string> = {};
  for (const path of imageVolumes) {
    if (!SAFE_VOLUME.test(path) || path.split('/').some((part) => part === '.' || part === '..')) {
      refuseVolumes(`declares the volume ${JSON.stringify(path)}`);
    }
    const clean = path.replace(/\/+/g, '/').replace(/\/$/, '');
    if (clean === '' || FORBIDDEN_VOLUMES.some((taken) => clean === taken || clean.startsWith(`${taken}/`))) {
      refuseVolumes(`declares a volume at ${path}, which is not the image's to mount`);
    }
    if (stateDirectory !== null && `${stateDirectory}/`.startsWith(`${clean}/`)) {
      refuseVolumes(`declares a volume at ${path}, over the state directory ${stateDirectory}`);
    }
    covers[path] = `rw,exec,nosuid,nodev,size=${sizeBytes},mode=1777`;
  }
  return covers;
}

const SAFE_VOLUME = /^\/[A-Za-z0-9_.@+/-]{0,255}$/;
const FORBIDDEN_VOLUMES = [OUTPUTS_DIRECTORY, '/proc', '/sys', '/dev'];

function refuseVolumes(what: string): never {
  throw new ContainerError('image-refused', `the image ${what}`);
}

function gpuRequests(uuids: readonly string[]): Docker.DeviceRequest[] {
  if (uuids.length === 0) return [];
  return [{ Driver: 'nvidia', DeviceIDs: [...uuids], Capabilities: [['gpu', 'compute', 'utility']] }];
}

/** Equal where `expected` says something; "off" in any spelling equals off; objects may hold more than asked. */
function covers(expected: unknown, actual: unknown): boolean {
  if (isOff(expected)) return isOff(actual);
  if (Array.isArray(expected)) {
    return (
      Array.isArray(actual) &&
      actual.length === expected.length &&
      expected.every((item, index) => covers(item, actual[index]))
    );
  }
  if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null) return false;
    const got = new Map<string, unknown>(Object.entries(actual));
    return Object.entries(expected).every(([name, value]) => covers(value, got.get(name)));
  }
  return isDeepStrictEqual(expected, actual);
}

function isOff(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
