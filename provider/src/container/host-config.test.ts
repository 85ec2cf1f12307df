import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TaskSpec } from './container-driver.ts';
import {
  ENGINE_LOG_FILE_BYTES,
  findTemplateMismatch,
  hostConfig,
  type TaskHostConfig,
} from './host-config.ts';
import { testTaskSpec } from './testing/task-spec.ts';

function settings(
  change: Partial<TaskSpec> = {},
  imageVolumes: string[] = [],
  stateDirectory: string | null = null,
): TaskHostConfig {
  const spec = testTaskSpec(change);
  return hostConfig({
    spec,
    networkMode: spec.network.mode === 'none' ? 'none' : 'cf-net',
    runtime: null,
    imageVolumes,
    stateDirectory,
    engineLogFileBytes: ENGINE_LOG_FILE_BYTES,
  });
}

test('the template is what was decided, setting by setting', () => {
  expect(settings()).toMatchInlineSnapshot(`
    {
      "AutoRemove": false,
      "Binds": [],
      "CapAdd": [],
      "CapDrop": [
        "ALL",
      ],
      "CgroupParent": "",
      "CgroupnsMode": "private",
      "DeviceCgroupRules": [],
      "DeviceRequests": [],
      "Devices": [],
      "Dns": [],
      "DnsOptions": [],
      "DnsSearch": [],
      "ExtraHosts": [],
      "GroupAdd": [],
      "Init": true,
      "IpcMode": "private",
      "Links": [],
      "LogConfig": {
        "Config": {
          "compress": "false",
          "max-file": "2",
          "max-size": "128000000",
          "mode": "blocking",
        },
        "Type": "local",
      },
      "Memory": 67108864,
      "MemorySwap": 67108864,
      "Mounts": [],
      "NanoCpus": 1000000000,
      "NetworkMode": "none",
      "OomKillDisable": false,
      "OomScoreAdj": 500,
      "PidMode": "",
      "PidsLimit": 128,
      "PortBindings": {},
      "Privileged": false,
      "PublishAllPorts": false,
      "ReadonlyRootfs": false,
      "RestartPolicy": {
        "MaximumRetryCount": 0,
        "Name": "no",
      },
      "SecurityOpt": [
        "no-new-privileges",
      ],
      "ShmSize": 1048576,
      "Sysctls": {},
      "Tmpfs": {},
      "UTSMode": "",
      "Ulimits": [
        {
          "Hard": 8192,
          "Name": "nofile",
          "Soft": 8192,
        },
        {
          "Hard": 0,
          "Name": "core",
          "Soft": 0,
        },
      ],
      "UsernsMode": "",
      "VolumesFrom": [],
    }
  `);
});

test('whatever a job asks for, only the numbers, the GPUs and the kind of network differ from the template', () => {
  const anything = fc.record({
    leaseId: fc.string(),
    jobId: fc.string(),
    fence: fc.integer(),
    image: fc.string(),
    command: fc.oneof(fc.string(), fc.array(fc.string()), fc.constant(null)),
    env: fc.dictionary(fc.string(), fc.string()),
    cpus: fc.double({ min: 0.01, max: 4096, noNaN: true }),
    memoryBytes: fc.integer({ min: 1 }),
    pidsLimit: fc.integer({ min: 1 }),
    shmBytes: fc.integer({ min: 1 }),
    gpuUuids: fc.array(fc.string()),
    network: fc.record({
      mode: fc.constantFrom('none' as const, 'internet' as const),
      allow: fc.constant([]),
    }),
    // What a hostile orchestrator may send beside what is asked for.
    Privileged: fc.boolean(),
    Binds: fc.array(fc.string()),
    CapAdd: fc.array(fc.string()),
    NetworkMode: fc.string(),
  });
  const template = settings();
  fc.assert(
    fc.property(anything, (spec) => {
      const got = settings(spec);
      const expected = {
        ...template,
        NanoCpus: Math.round(spec.cpus * 1e9),
        Memory: spec.memoryBytes,
        MemorySwap: spec.memoryBytes,
        PidsLimit: spec.pidsLimit,
        ShmSize: spec.shmBytes,
        NetworkMode: spec.network.mode === 'none' ? 'none' : 'cf-net',
        DeviceRequests:
          spec.gpuUuids.length === 0
            ? []
            : [{ Driver: 'nvidia', DeviceIDs: spec.gpuUuids, Capabilities: [['gpu', 'compute', 'utility']] }],
      };
      // Not `toEqual`: ten thousand of its comparisons take longer than a test may.
      if (!isDeepStrictEqual(got, expected)) expect(got).toEqual(expected);
    }),
    { numRuns: 10_000 },
  );
}, 60_000);

describe('volumes of an image', () => {
  test('become memory file systems of half the task’s memory', () => {
    expect(settings({ memoryBytes: 1000 }, ['/data', '/var/lib/x/']).Tmpfs).toEqual({
      '/data': 'rw,exec,nosuid,nodev,size=500,mode=1777',
      '/var/lib/x/': 'rw,exec,nosuid,nodev,size=500,mode=1777',
    });
  });

  test.each([
    '/',
    '//',
    '/outputs',
    '/outputs/a',
    '/proc',
    '/sys/fs',
    '/dev/shm',
    'relative',
    '/a/../proc',
    '/a,size=1',
    '/a b',
  ])('at "%s" are refused', (volume) => {
    expect(() => settings({}, [volume])).toThrow(expect.objectContaining({ code: 'image-refused' }));
  });

  test('are refused when there are too many', () => {
    const many = Array.from({ length: 17 }, (_, n) => `/v${n}`);
    expect(() => settings({}, many)).toThrow(expect.objectContaining({ code: 'image-refused' }));
  });
});

describe('reading the settings back', () => {
  const expected = settings({ gpuUuids: ['GPU-1'] }, ['/data']);

  test('what the engine adds, and how it writes "nothing", does not matter', () => {
    const actual = {
      ...structuredClone(expected),
      Binds: null,
      CapAdd: null,
      Devices: undefined,
      OomKillDisable: null,
      ConsoleSize: [0, 0],
      MaskedPaths: ['/proc/kcore'],
      Runtime: 'runc',
      DeviceRequests: [
        {
          Driver: 'nvidia',
          Count: 0,
          DeviceIDs: ['GPU-1'],
          Capabilities: [['gpu', 'compute', 'utility']],
          Options: {},
        },
      ],
    };
    expect(findTemplateMismatch(expected, actual)).toBeNull();
  });

  test('any other value of any setting is found, by its name', () => {
    for (const name of Object.keys(expected)) {
      for (const value of [undefined, 'other', 7, true, ['x'], { a: 'b' }]) {
        const same = findTemplateMismatch(expected, { ...expected, [name]: value }) === null;
        const off = JSON.stringify(Object.entries(expected).find(([key]) => key === name)?.[1]);
        // "Nothing" is how an engine may write a setting that is off; a true one stays true.
        const allowed =
          value === undefined
            ? ['false', '""', '[]', '{}'].includes(off ?? '')
            : off === JSON.stringify(value);
        expect(same, `${name} = ${JSON.stringify(value)}`).toBe(allowed);
      }
    }
    expect(findTemplateMismatch(expected, { ...expected, Memory: 1 })).toMatch(
      /^Memory: expected 67108864, got 1$/,
    );
  });
});
