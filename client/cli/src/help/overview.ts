/** What `cfab` alone says: the daily loop, and where the rest is. */
export function overview(program: string): string[] {
  return [
    'ComputeFabric: runs containers on GPUs of other people, by the second.',
    '',
    `  ${program} submit --image IMAGE --gpus 1 --command 'python train.py'`,
    '',
    '  submit      plan, price, then live output      status      what runs and what waits',
    '  logs -f     output of a job, live              artifacts   result files of a job',
    '  cancel      stop a job                         wait        until a job has ended',
    '  explain     why a job waits                    offers      machines and prices',
    '',
    `All commands:  ${program} --help      One command:  ${program} help submit`,
    `Topics:        ${program} help environment, exit-codes, states, job-file, billing, errors`,
  ];
}
