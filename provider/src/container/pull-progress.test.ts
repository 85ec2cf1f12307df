import { expect, test } from 'vitest';
import { PullTracker } from './pull-progress.ts';

function progressAfter(...lines: [id: string, status: string, current?: number, total?: number][]) {
  const tracker = new PullTracker();
  for (const [id, status, current, total] of lines) {
    tracker.take({
      id,
      status,
      progressDetail: { ...(current !== undefined && { current }), ...(total !== undefined && { total }) },
    });
  }
  return tracker.progress;
}

test('before any layer is known there is nothing to say', () => {
  expect(new PullTracker().progress).toEqual({ bytesDone: 0, bytesTotal: null, phase: 'resolving' });
  expect(progressAfter(['latest', 'Pulling from library/debian'])).toMatchObject({ phase: 'resolving' });
});

test('the total is unknown until every layer has begun', () => {
  expect(
    progressAfter(['a', 'Pulling fs layer'], ['b', 'Pulling fs layer'], ['a', 'Downloading', 40, 100]),
  ).toEqual({ bytesDone: 40, bytesTotal: null, phase: 'downloading' });
  expect(
    progressAfter(
      ['a', 'Pulling fs layer'],
      ['b', 'Pulling fs layer'],
      ['b', 'Waiting'],
      ['a', 'Downloading', 100, 100],
      ['b', 'Downloading', 10, 50],
    ),
  ).toEqual({ bytesDone: 110, bytesTotal: 150, phase: 'downloading' });
});

test('layers that are there already count for nothing', () => {
  expect(
    progressAfter(['a', 'Pulling fs layer'], ['b', 'Already exists'], ['a', 'Downloading', 5, 10]),
  ).toMatchObject({ bytesDone: 5, bytesTotal: 10 });
});

test('a download that starts again does not go backwards', () => {
  expect(progressAfter(['a', 'Downloading', 80, 100], ['a', 'Downloading', 3, 100])).toMatchObject({
    bytesDone: 80,
  });
});

test('unpacking begins when the last byte is here', () => {
  const lines: [string, string, number?, number?][] = [
    ['a', 'Pulling fs layer'],
    ['b', 'Pulling fs layer'],
    ['a', 'Downloading', 100, 100],
    ['a', 'Download complete'],
    ['a', 'Extracting', 10, 100],
    ['b', 'Downloading', 1, 20],
  ];
  expect(progressAfter(...lines)).toMatchObject({ phase: 'downloading' });
  expect(progressAfter(...lines, ['b', 'Download complete'], ['b', 'Extracting', 1, 20])).toEqual({
    bytesDone: 120,
    bytesTotal: 120,
    phase: 'extracting',
  });
});
