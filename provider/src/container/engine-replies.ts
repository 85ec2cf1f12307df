import { z } from 'zod';

/*
 * The parts of the engine's answers that are used, checked once as they come in. Engines differ in what they
 * leave out and in what they write for "nothing", so each field says what its absence means.
 */

const textList = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);
const textMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform((map) => map ?? {});

export const versionReply = z.object({ Version: z.string(), ApiVersion: z.string() });

export const infoReply = z.object({
  OSType: z.string(),
  Architecture: z.string(),
  OperatingSystem: z.string().default('unknown'),
  KernelVersion: z.string().default('unknown'),
  NCPU: z.number(),
  MemTotal: z.number(),
  Driver: z.string().default('unknown'),
  DockerRootDir: z.string().default(''),
  /** Engines that know nothing of version 2 do not say it. */
  CgroupVersion: z.string().default('1'),
  MemoryLimit: z.boolean().default(false),
  SwapLimit: z.boolean().default(false),
  CpuCfsQuota: z.boolean().default(false),
  PidsLimit: z.boolean().default(false),
  SecurityOptions: textList,
  Runtimes: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((map) => Object.keys(map ?? {})),
});

export const imageReply = z.object({
  Id: z.string(),
  RepoTags: textList,
  RepoDigests: textList,
  Size: z.number().default(0),
  Config: z
    .object({
      Env: textList,
      Cmd: textList,
      Entrypoint: textList,
      Volumes: z
        .record(z.string(), z.unknown())
        .nullish()
        .transform((map) => Object.keys(map ?? {})),
    })
    .nullish()
    .transform((config) => config ?? { Env: [], Cmd: [], Entrypoint: [], Volumes: [] }),
});
/** Images without a name have the tag `<none>:<none>`. */
export const imageListReply = z.array(
  z.object({ Id: z.string(), RepoTags: textList, RepoDigests: textList }),
);
export type ImageReply = z.infer<typeof imageReply>;

/** The engine writes the year 1 for "not yet". */
const moment = z.string().transform((text) => {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) || at.getUTCFullYear() < 1970 ? null : at;
});

export const containerReply = z.object({
  Id: z.string(),
  State: z.object({
    Status: z.string(),
    /** Of its first process, on the engine's machine; 0 when it does not run. */
    Pid: z.number().default(0),
    ExitCode: z.number().default(0),
    OOMKilled: z.boolean().default(false),
    Error: z.string().default(''),
    StartedAt: moment,
    FinishedAt: moment,
  }),
  Config: z.object({
    Labels: textMap,
    Env: textList,
    Healthcheck: z.object({ Test: textList }).nullish(),
  }),
  HostConfig: z.looseObject({}),
  /** Engines with another image store leave it out. */
  GraphDriver: z
    .object({ Name: z.string().default(''), Data: textMap })
    .nullish()
    .transform((driver) => driver ?? { Name: '', Data: {} as Record<string, string> }),
  Mounts: z
    .array(z.unknown())
    .nullish()
    .transform((list) => list ?? []),
});
export type ContainerReply = z.infer<typeof containerReply>;

export const containerListReply = z.array(
  z.object({
    Id: z.string(),
    State: z.string(),
    Labels: textMap,
    Created: z.number(),
    HostConfig: z.object({ NetworkMode: z.string().default('') }).default({ NetworkMode: '' }),
  }),
);

/** One line of a pull's progress. */
export const pullLine = z.object({
  id: z.string().optional(),
  status: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).optional(),
  error: z.string().optional(),
});
export type PullLine = z.infer<typeof pullLine>;
