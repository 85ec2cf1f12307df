import { countIds } from './random.ts';
import { openSimDatabase } from './sim-database.ts';
import { runSeed } from './run-seed.ts';

/** A process of the simulation: plays the seeds that it is told, one after the other. */
const [url] = process.argv.slice(2);
if (url === undefined || process.send === undefined)
  throw new Error('started by tests/simulation/main.ts only');
const tell = process.send.bind(process);
countIds();
const database = await openSimDatabase(url);
process.on('message', (message: unknown) => {
  if (typeof message !== 'number') {
    void database.close().then(() => process.exit(0));
    return;
  }
  void runSeed(message, database).then((result) => tell(result));
});
process.on('disconnect', () => process.exit(1));
tell('ready');
