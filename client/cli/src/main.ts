import { Interrupts } from './interrupts.ts';
import { runProgram } from './run-program.ts';
import { parseEnvironment } from './settings/environment.ts';
import { Terminal } from './terminal/terminal.ts';

const argv = process.argv.slice(2);
const environment = parseEnvironment(process.env);
const ownWords = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
const terminal = new Terminal(process, {
  ...environment.colour,
  refused: environment.colour.refused || ownWords.includes('--no-color'),
});

process.on('SIGINT', () => terminal.echoed());

const code = await runProgram({
  argv,
  wantsJson: ownWords.includes('--json'),
  environment,
  terminal,
  interrupts: new Interrupts(process),
});
await terminal.flush();
// Not left to run out: an idle connection would hold the program for some seconds more.
process.exit(code);
