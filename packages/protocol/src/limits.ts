/** Sizes and times that two programs must agree on. Each number has its unit in its name and its reason here. */
export const limits = {
  /** A JSON body. The largest honest job (64 environment values of 4 KiB) is a quarter of it. */
  jsonBodyBytes: 1_048_576,
  /** Nesting of a JSON body; deeper is an attack on a parser, not a job. */
  jsonDepth: 20,
  nameChars: 128,
  imageChars: 512,
  /** Servers that a job may reach, and the length of one with its port. */
  allowedServers: 64,
  serverChars: 259,
  commandChars: 65_536,
  commandArgs: 256,
  envEntries: 64,
  envValueChars: 4_096,
  /** One chunk of output: what one frame of a batch may hold. */
  logChunkBytes: 65_536,
  /** One batch of chunks in one request. */
  logBatchBytes: 1_048_576,
  /** Output kept of one try; the agent drops the rest and says how much. */
  logBytesPerLease: 67_108_864,
  artifactFiles: 1_000,
  /** All result files of one try together. */
  artifactBytes: 1_073_741_824,
  artifactPathChars: 1_024,
  /** The saved state of a job: all its files together, and files, folders and links of it. */
  checkpointBytes: 4_294_967_296,
  checkpointFiles: 10_000,
  /** Stored state of one job, with what is on its way and what waits to be removed. */
  checkpointBytesPerJob: 17_179_869_184,
  /**
   * Files are cut into pieces of this size: small enough to be sent again over a weak line and to be held in
   * memory, large enough that a full checkpoint is about a thousand requests.
   */
  checkpointChunkBytes: 4_194_304,
  checkpointChunksPerQuestion: 512,
  /** The list of 10,000 files with paths of 200 characters; longer paths allow fewer files. */
  checkpointManifestBytes: 4_194_304,
  /** Jobs whose state a machine keeps for their next try: what one heartbeat tells. */
  keptStates: 64,
  gpusPerJob: 8,
  cpusPerJob: 256,
  /** The shortest and the longest a job may be allowed to run. */
  timeLimitSeconds: { min: 1, max: 604_800, default: 3_600 },
  /** How long a job may wait for a machine when it sets such a limit. */
  queueTimeoutSeconds: { min: 1, max: 2_592_000 },
  /** Seconds between SIGTERM and SIGKILL. */
  stopGraceSeconds: { default: 10, max: 600 },
  /** Further tries of a program that failed; each is part of the hold. */
  retries: 100,
  /** The longest silence of a machine that a job may bear: a week. */
  silenceSeconds: 604_800,
  /** The longest pause, drain or absence of a machine that ends by itself: 30 days. */
  absenceSeconds: 2_592_000,
  dependenciesPerJob: 64,
  /** Members of an array: what one transaction can write in a few seconds. */
  arrayMembers: 10_000,
  /** Image, command and variables of all members together; each member keeps its own. */
  arrayBytes: 67_108_864,
  gangMachines: { min: 2, max: 64 },
  schedulesPerUser: 1_000,
  /** A long poll's longest wait; below the usual 60 s idle timeout of proxies. */
  pollSeconds: 25,
  /** Counts and sizes are kept as 32-bit integers; what a stranger sends must fit. */
  int32: { min: -2_147_483_648, max: 2_147_483_647 },
  pageItems: { default: 50, max: 200 },
} as const;
