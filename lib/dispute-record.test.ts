import { expect, it } from 'vitest';
import { recordSentences } from './dispute-record.ts';

it('the record of a contested job is told in sentences, the machine’s other failures among them', () => {
  const said = recordSentences({
    tries: [
      {
        endReason: 'exited-zero',
        exitCode: 0,
        machineSuspended: true,
        otherRentersSpoiled: 2,
        othersSpoiled: 3,
      },
    ],
    damaged_results: ['model.bin'],
    events: [{}, {}],
  });
  expect(said).toContain('The operator has suspended its machine since.');
  expect(said).toContain('Within a day its machine spoiled 3 tries of 2 other renters.');
  expect(said).toContain('Not stored as they arrived: model.bin.');
});

it('a record in a form of another time is left out and does no harm', () => {
  expect(recordSentences('nothing')).toEqual([]);
  expect(recordSentences({ tries: [{ endReason: 'from-the-future' }] })).toEqual([]);
});
