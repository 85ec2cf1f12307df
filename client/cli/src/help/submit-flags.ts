import type { CfabCommand } from './cfab-command.ts';

/** The flags that make many jobs of one, or one job on many machines. */
export function addShapeFlags(command: CfabCommand): void {
  command
    .optionsGroup('Many at once')
    .option('--array <count>', 'the same job so many times, each with its own COMPUTEFABRIC_ARRAY_INDEX')
    .option(
      '--matrix <NAME=A,B>',
      'one job for each value of this variable; repeated: for each combination',
      collect,
    )
    .option('--max-parallel <count>', 'with --array or --matrix: so many at a time (default: all)')
    .option(
      '--machines <count>',
      'one job on so many machines at the same time, all or none, each with its own\n' + 'COMPUTEFABRIC_RANK',
    );
}

/** The flags that say what a job is, in groups as help shows them. */
export function addSpecFlags(command: CfabCommand): void {
  command
    .optionsGroup('What to run')
    .option('-f, --file <file>', 'job as a file (see: cfab help job-file); flags win over it')
    .option('--image <image>', 'container image to run, such as pytorch/pytorch:latest')
    .option(
      '--command <line>',
      'line for a shell in the container; without it, the command of the image runs',
    )
    .option('-e, --env <NAME=VALUE>', 'variable for the program; may be repeated', collect)
    .option(
      '--env-file <file>',
      'variables from a file, one NAME=VALUE in a line, # begins a comment;\n' +
        'one pair of quotes around a value is taken off; --env wins over it',
      collect,
    )
    .option('--name <name>', 'name of the job, unique among yours; without it the server gives one')

    .optionsGroup('What the machine must have')
    .option('--gpus <count>', 'GPUs on one machine; 1 when a kind of GPU is asked for, else 0: a CPU job')
    .option(
      '--gpu <model>',
      'model of GPU, such as "RTX 4090"; several with | or by repeating the flag',
      collect,
    )
    .option('--gpu-share <share>', 'a part of one GPU where its owner allows sharing: 0.25, 25% or 250m')
    .option(
      '--vram <range>',
      'memory of each GPU: 24GB (or more), 24GB..80GB, ..48GB. GB is 10^9, GiB is 2^30,\n' +
        'a plain number is GB. A card sold as 24 GB has a bit less than 24 GiB: ask for 24GB',
    )
    .option('--compute-capability <version>', 'lowest CUDA compute capability of each GPU, such as 8.0')
    .option('--driver <version>', 'lowest version of the GPU driver, such as 535.104')
    .option('--cuda <version>', 'lowest CUDA version that the driver supports, such as 12.2')
    .option('--cpus <count>', 'CPU cores, also fractions (default: 1)')
    .option('--memory <size>', 'main memory, such as 4GB (default: 1GiB)')
    .option('--disk <size>', 'free disk, such as 20GB')
    .option('--region <region>', 'region of the machine; several with | or by repeating the flag', collect)
    .option('--reliability <part>', 'least share of its tries that the machine brought to their end: 95%')
    .option('--tier <tier>', 'how far the operator must vouch for it: community, verified or trusted')
    .option(
      '--network <network>',
      'what the program may reach: internet, none, or servers such as pypi.org,*.pypi.org:8443;\n' +
        "never its machine's owner, other jobs or clouds' metadata (default: internet)",
      collect,
    )

    .optionsGroup('Price, time and turn')
    .option('--max-price <usd>', 'highest price per GPU-hour, per core-hour for CPU jobs, such as 0.50')
    .option('--max-cost <usd>', 'stop the job before it costs more, such as 0.10; only this much is reserved')
    .option(
      '--on-limit <way>',
      'checkpoint: stopped so early that grace time and a last save are paid for; stop: killed\n' +
        'when the money is used up (default: checkpoint)',
    )
    .option('--spot', 'the spot price where owners give one; gives way, after a notice, to on-demand jobs')
    .option('--class <class>', 'on-demand or spot (default: on-demand)')
    .option('--priority <number>', '0 to 100; among your own jobs the higher one goes first (default: 50)')
    .option(
      '--time-limit <duration>',
      'stop the program after running this long: 90s, 10m, 1h30m, 2d (default: 1h)',
    )
    .option('--queue <duration>', 'give up when no machine was found for this long (default: never)')
    .option(
      '--after <JOB[:end]>',
      'wait until that job has succeeded; with :any until it has ended, with :failure\n' +
        'until it has failed; may be repeated',
      collect,
    )

    .optionsGroup('When something goes wrong')
    .option('--retries <count>', 'further tries after the program failed, each billed (default: 0)')
    .option('--retry-on <codes>', 'only after these exit codes, such as 1,137')
    .option('--never-retry-on <codes>', 'never after these exit codes')
    .option('--lost-after <duration>', 'a silent machine counts as alive for this long')
    .option('--stop-after <duration>', 'cut off for this long, the machine stops the program by itself')
    .option('--no-replace', 'start no replacement for a silent machine: wait for its return')
    .option(
      '--keep <try>',
      'when it returns after a replacement has started, keep the replacement, the original\n' +
        'or the longest-running (default: replacement)',
    )
    .option('--checkpoint <path>', 'directory of the state that the next machine gets back')
    .option('--checkpoint-every <duration>', 'how often it is saved (default: 5m)')
    .option('--checkpoint-command <line>', 'run in the container before each save')
    .option('--stop-grace <duration>', 'between the request to stop (SIGTERM) and the kill (default: 10s)');
}

export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
