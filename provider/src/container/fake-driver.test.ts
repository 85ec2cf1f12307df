import { driverSuite, type SuiteEngine } from './driver-suite.ts';
import { FakeDriver, FakeEngine } from './fake-driver.ts';
import { programs } from './suite-programs.ts';

driverSuite('the fake driver', async (): Promise<SuiteEngine> => {
  const engine = new FakeEngine();
  for (const { command, fake } of Object.values(programs)) {
    engine.programs.set(command, fake);
    engine.programs.set(`/bin/sh -c ${command}`, fake);
  }
  engine.images.set('shell:latest', { sizeBytes: 2_000_000, program: null });
  engine.images.set('speaking:latest', {
    sizeBytes: 2_000_000,
    program: async (process) => {
      await process.print('stdout', 'from the image\n');
      return 0;
    },
  });
  engine.registry.set('registry.test/pullable:1', {
    kind: 'image',
    image: { sizeBytes: 5_000_000, program: null },
  });
  engine.registry.set('registry.test/endless:1', { kind: 'silence' });
  engine.registry.set('nobody.test/image:1', { kind: 'failure', code: 'registry-unreachable' });
  engine.registry.set('registry.test/denied:1', { kind: 'failure', code: 'pull-denied' });
  return {
    driver: (agentId) => new FakeDriver(engine, agentId),
    shellImage: 'shell',
    imageWithCommand: 'speaking',
    pullableImage: 'registry.test/pullable:1',
    unknownImage: 'registry.test/unknown:1',
    endlessImage: 'registry.test/endless:1',
    unreachableImage: 'nobody.test/image:1',
    deniedImage: 'registry.test/denied:1',
    close: async () => undefined,
  };
});
