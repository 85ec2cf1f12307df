import { z } from 'zod';
import { networkMode } from './network.ts';

/** What runs programs: containers on the machine's own kernel, or gVisor, a kernel between them and that one. */
export const sandboxes = ['containers', 'gvisor'] as const;

const note = z.string().max(300).default('');

/** What keeps jobs and the machine's owner apart, beyond what every machine does. */
export const protection = z
  .object({
    networks: z
      .array(networkMode)
      .max(8)
      .default(['none'])
      .describe('What jobs may reach from this machine.'),
    network_note: note.describe('Why not more; empty when there is nothing to say.'),
    disk_limited: z.boolean().default(false).describe('What a job writes has an end.'),
    disk_note: note.describe('Why not.'),
    sandbox: z.enum(sandboxes).default('containers').describe('What runs the programs of jobs.'),
  })
  .meta({ id: 'Protection' });
export type Protection = z.infer<typeof protection>;
