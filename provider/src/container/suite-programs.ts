import type { FakeProgram } from './fake-container.ts';

/** A program of the suite, as a shell runs it and as the fake engine does: both must look the same from outside. */
export interface SuiteProgram {
  command: string;
  fake: FakeProgram;
}

/** Every byte there is, a hundred times, without a newline at the end. */
export const everyByte = Buffer.concat(
  Array.from({ length: 100 }, () => Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))),
);
export const floodLines = 250_000;
export const steadyLines = 6_000;

const octal = Array.from({ length: 256 }, (_, byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');

/** The numbers 1 to `last`, one a line: what `seq` prints. */
export function numbers(first: number, last: number): string {
  const lines: number[] = [];
  for (let n = first; n <= last; n += 1) lines.push(n);
  return `${lines.join('\n')}\n`;
}

const filler = 'x'.repeat(88);

/** Numbered lines of about 100 bytes. */
export function longLines(first: number, last: number): string {
  let text = '';
  for (let n = first; n <= last; n += 1) text += `${n} ${filler}\n`;
  return text;
}

/** The same numbers on the error stream, told apart by their first word. */
export function errorNumbers(last: number): string {
  let text = '';
  for (let n = 1; n <= last; n += 1) text += `error ${n}\n`;
  return text;
}

export const programs = {
  twoStreams: {
    command: 'echo to stdout; echo to stderr >&2; exit 3',
    fake: async (task) => {
      await task.print('stdout', 'to stdout\n');
      await task.print('stderr', 'to stderr\n');
      return 3;
    },
  },
  everyByte: {
    command: `i=0; while [ $i -lt 100 ]; do printf '${octal}'; i=$((i+1)); done`,
    fake: async (task) => {
      await task.print('stdout', everyByte);
      return 0;
    },
  },
  /** About 24 MB. */
  flood: {
    command: `awk 'BEGIN { for (i = 1; i <= ${floodLines}; i++) print i " ${filler}" }'`,
    fake: async (task) => {
      for (let n = 1; n <= floodLines; n += 1_000) await task.print('stdout', longLines(n, n + 999));
      return 0;
    },
  },
  /** Both streams, line by line, for about two seconds. */
  steady: {
    command: `i=0; while [ $i -lt ${steadyLines} ]; do i=$((i+1)); echo $i; echo error $i >&2; if [ $((i % 100)) = 0 ]; then sleep 0.03; fi; done`,
    fake: async (task) => {
      for (let n = 1; n <= steadyLines; n += 1) {
        await task.print('stdout', `${n}\n`);
        await task.print('stderr', `error ${n}\n`);
        if (n % 100 === 0) await task.sleep(5);
      }
      return 0;
    },
  },
  environment: {
    command:
      'echo "$GREETING|$COMPUTEFABRIC_JOB_ID|$COMPUTEFABRIC_LEASE_ID|$COMPUTEFABRIC_OUTPUTS|$NVIDIA_VISIBLE_DEVICES"',
    fake: async (task) => {
      const names = ['GREETING', 'COMPUTEFABRIC_JOB_ID', 'COMPUTEFABRIC_LEASE_ID', 'COMPUTEFABRIC_OUTPUTS'];
      const values = [...names, 'NVIDIA_VISIBLE_DEVICES'].map((name) => task.env.get(name) ?? '');
      await task.print('stdout', `${values.join('|')}\n`);
      return 0;
    },
  },
  sleeper: {
    command: 'echo ready; sleep 600',
    fake: async (task) => {
      await task.print('stdout', 'ready\n');
      await task.sleep(600_000);
      return 0;
    },
  },
  graceful: {
    command: "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done",
    fake: async (task) => {
      let asked = false;
      task.onTerminate(() => {
        asked = true;
      });
      await task.print('stdout', 'ready\n');
      while (!asked) await task.sleep(5);
      await task.print('stdout', 'bye\n');
      return 7;
    },
  },
  stubborn: {
    command: "trap '' TERM; echo ready; while :; do sleep 0.05; done",
    fake: async (task) => {
      task.onTerminate(() => undefined);
      await task.print('stdout', 'ready\n');
      await task.sleep(600_000);
      return 0;
    },
  },
  memoryEater: {
    command: `awk 'BEGIN { s = "x"; while (1) s = s s }'`,
    fake: async (task) => {
      task.lackMemory();
      return 137;
    },
  },
  memoryEaterBehindAShell: {
    command: `awk 'BEGIN { s = "x"; while (1) s = s s }'; exit 0`,
    fake: async (task) => {
      task.lackMemory();
      return 0;
    },
  },
  results: {
    command: [
      'cd /outputs',
      'echo one > a.txt',
      'mkdir -p deep/er',
      'echo two > deep/er/b.bin',
      ': > empty',
      'ln -s /etc/passwd stolen.txt',
      'ln -s / root',
      'ln a.txt second-name',
      'mkfifo pipe',
      "echo x > 'back\\slash'",
      'echo x > "$(printf \'line\\nbreak\')"',
      'echo x > C:drive',
    ].join('; '),
    fake: async (task) => {
      task.writeOutput('a.txt', 'one\n');
      task.leave('deep', 'directory');
      task.leave('deep/er', 'directory');
      task.writeOutput('deep/er/b.bin', 'two\n');
      task.writeOutput('empty', '');
      task.leave('stolen.txt', 'symlink');
      task.leave('root', 'symlink');
      task.leave('second-name', 'link');
      task.leave('pipe', 'fifo');
      task.writeOutput('back\\slash', 'x\n');
      task.writeOutput('line\nbreak', 'x\n');
      task.writeOutput('C:drive', 'x\n');
      return 0;
    },
  },
  tenFiles: {
    command: 'cd /outputs; for i in 0 1 2 3 4 5 6 7 8 9; do echo 1234567 > f$i; done',
    fake: async (task) => {
      for (let n = 0; n < 10; n += 1) task.writeOutput(`f${n}`, '1234567\n');
      return 0;
    },
  },
} satisfies Record<string, SuiteProgram>;
