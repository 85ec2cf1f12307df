import { writeFile } from 'node:fs/promises';
import { jobFileSchema } from '@computefabric/protocol/job-file/job-file';
import type { Cli } from '../cli.ts';
import { CliError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { jobFileTemplate } from '../job-file/job-file-template.ts';
import { jobFileName } from '../jobs/spec-from-flags.ts';
import { facts } from '../terminal/table.ts';

export interface InitFlags {
  image?: string;
  force?: boolean;
  schema?: boolean;
}

/** `init`: a job file to begin with, in this folder. */
export async function initJobFile(cli: Cli, flags: InitFlags): Promise<number> {
  if (flags.schema) {
    cli.print(JSON.stringify(jobFileSchema(), null, 2));
    return exitCode('ok');
  }
  const { url } = await cli.settings();
  const schemaUrl = `${url.value}/schemas/computefabric.json`;
  const text = jobFileTemplate(flags.image ?? 'busybox:latest', schemaUrl);
  try {
    await writeFile(jobFileName, text, { flag: flags.force ? 'w' : 'wx' });
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
    throw new CliError({
      code: 'cli/file',
      message: `${jobFileName} is there already`,
      help: [`write over it:   ${cli.program} init --force`],
      exit: 'error',
      retry: 'never',
      cause: thrown,
    });
  }
  if (cli.json) {
    cli.printJson({ file: jobFileName, schema: schemaUrl });
    return exitCode('ok');
  }
  cli.print(jobFileName);
  const lines = facts([
    ['try it', `${cli.program} submit --plan`],
    ['run it', `${cli.program} submit`],
    ['all keys', `${cli.program} help job-file`],
  ]);
  for (const line of lines) cli.say(line);
  return exitCode('ok');
}
