import { z } from 'zod';
import { limits } from '../limits.ts';

const exitCodes = z.array(z.number().int().min(1).max(255)).max(64);

/** What happens after the program itself failed. Tries that a machine spoiled are repeated free and not counted. */
export const retries = z
  .strictObject({
    max: z
      .number()
      .int()
      .min(0)
      .max(limits.retries)
      .default(0)
      .describe('Further tries after the program failed; each is billed and covered by the hold.'),
    on_exit_codes: exitCodes
      .nullable()
      .default(null)
      .describe('Only these exit codes are tried again; null is any but 0.'),
    never_on_exit_codes: exitCodes.default([]).describe('These exit codes end the job at once.'),
  })
  .meta({ id: 'Retries' });
export type Retries = z.infer<typeof retries>;

/** Which try is kept when a machine comes back and another one has the job already. */
export const keepOnReturns = ['replacement', 'original', 'longest-running'] as const;
export const keepOnReturn = z.enum(keepOnReturns);
export type KeepOnReturn = z.infer<typeof keepOnReturn>;

/** What happens while the job's machine is silent. */
export const disconnect = z
  .strictObject({
    lost_after_seconds: z
      .number()
      .int()
      .min(5)
      .max(limits.silenceSeconds)
      .nullable()
      .default(null)
      .describe('A silent machine counts as alive for this long; null is the lease time of the market.'),
    stop_after_seconds: z
      .number()
      .int()
      .min(5)
      .max(limits.silenceSeconds)
      .nullable()
      .default(null)
      .describe(
        'Cut off for this long, the machine stops the program by itself; null is lost_after_seconds, or never when the original may be kept.',
      ),
    replace: z
      .boolean()
      .default(true)
      .describe('Start a replacement when the machine counts as lost; false waits for its return.'),
    keep: keepOnReturn
      .default('replacement')
      .describe('Which try goes on when the machine returns after a replacement has started.'),
  })
  .meta({ id: 'Disconnect' });
export type Disconnect = z.infer<typeof disconnect>;

const takenDirectories = ['/outputs', '/proc', '/sys', '/dev'];

/** An absolute path that means what it says, and nothing that the system or the market puts there. */
export function isStateDirectory(path: string): boolean {
  if (!/^(\/[A-Za-z0-9_.@+-]{1,128}){1,16}$/.test(path)) return false;
  if (path.split('/').some((part) => part === '.' || part === '..')) return false;
  return !takenDirectories.some((taken) => path === taken || path.startsWith(`${taken}/`));
}

const stateDirectory = z
  .string()
  .max(512)
  .refine(
    isStateDirectory,
    'must be an absolute path of letters, digits and _.@+- such as /state, outside of /outputs, /proc, /sys and /dev',
  );

/** State that outlives a machine. */
export const checkpoint = z
  .strictObject({
    path: stateDirectory.describe('The directory in the container that holds the state.'),
    every_seconds: z
      .number()
      .int()
      .min(5)
      .max(86_400)
      .default(300)
      .describe('How often it is saved while the program runs.'),
    command: z
      .union([z.string().min(1).max(4_096), z.array(z.string().max(4_096)).min(1).max(64)])
      .nullable()
      .default(null)
      .describe(
        'Run in the container before each save, for a program that must be asked to write its state.',
      ),
  })
  .meta({ id: 'CheckpointTerms' });
export type CheckpointTerms = z.infer<typeof checkpoint>;

/** A job that must have ended before this one may wait for a machine. */
export const dependency = z
  .strictObject({
    job: z.string().min(1).max(128).describe('Id or name of one of your jobs or groups.'),
    when: z
      .enum(['success', 'any', 'failure'])
      .default('success')
      .describe('Which end it must come to; with another one this job ends without having run.'),
  })
  .meta({ id: 'Dependency' });
export type Dependency = z.infer<typeof dependency>;
