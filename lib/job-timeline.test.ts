import { describe, expect, it } from 'vitest';
import { jobTimeline, type TimelineFacts } from './job-timeline.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

const attempt: NonNullable<TimelineFacts['attempt']> = {
  number: 1,
  machineName: 'cobalt-otter',
  taskState: null,
  progress: null,
  offeredAt: at(2),
  acceptedAt: at(3),
  startedAt: at(10),
  exitedAt: at(40),
  endedAt: at(42),
};

const succeeded: TimelineFacts = {
  state: 'succeeded',
  isFinal: true,
  submittedAt: at(0),
  queuedAt: at(0),
  finishedAt: at(42),
  attempt,
};

const statesOf = (facts: TimelineFacts) => jobTimeline(facts).map((stretch) => stretch.state);

describe("a job's timeline", () => {
  it('shows every stretch of a job that succeeded, with its length', () => {
    const timeline = jobTimeline(succeeded);
    expect(timeline.map((stretch) => stretch.state)).toEqual(['done', 'done', 'done', 'done', 'done']);
    expect(timeline.map(({ startedAt, endedAt }) => [startedAt, endedAt])).toEqual([
      [at(0), at(2)],
      [at(2), at(3)],
      [at(3), at(10)],
      [at(10), at(40)],
      [at(40), at(42)],
    ]);
  });

  it('bills the running stretch only', () => {
    expect(jobTimeline(succeeded).filter((stretch) => stretch.billed)).toHaveLength(1);
    expect(jobTimeline(succeeded)[3]?.billed).toBe(true);
  });

  it('has one current stretch while the job is under way', () => {
    expect(
      statesOf({ ...succeeded, state: 'queued', isFinal: false, finishedAt: null, attempt: null }),
    ).toEqual(['current', 'ahead', 'ahead', 'ahead', 'ahead']);
    const running = { ...attempt, exitedAt: null, endedAt: null };
    expect(
      statesOf({ ...succeeded, state: 'running', isFinal: false, finishedAt: null, attempt: running }),
    ).toEqual(['done', 'done', 'done', 'current', 'ahead']);
  });

  it('marks where a failed job ended, although its results were saved after it', () => {
    expect(statesOf({ ...succeeded, state: 'failed' })).toEqual([
      'done',
      'done',
      'done',
      'went-wrong',
      'done',
    ]);
  });

  it('ends a job cancelled in the queue there and skips the rest', () => {
    const [queued, ...rest] = jobTimeline({
      ...succeeded,
      state: 'cancelled',
      finishedAt: at(7),
      attempt: null,
    });
    expect(queued).toMatchObject({ state: 'cancelled', startedAt: at(0), endedAt: at(7) });
    expect(rest.map((stretch) => stretch.state)).toEqual(['skipped', 'skipped', 'skipped', 'skipped']);
  });

  it('waits anew after a lost machine instead of showing the lost try as the present', () => {
    const [queued, matched] = jobTimeline({
      ...succeeded,
      state: 'queued',
      isFinal: false,
      finishedAt: null,
      queuedAt: at(60),
    });
    expect(queued).toMatchObject({ state: 'current', startedAt: at(60) });
    expect(matched?.state).toBe('ahead');
  });

  it('says how far the download of the image is', () => {
    const pulling = {
      ...attempt,
      startedAt: null,
      exitedAt: null,
      endedAt: null,
      taskState: 'pulling' as const,
    };
    const noteOf = (progress: { doneBytes: number; totalBytes: number | null } | null) =>
      jobTimeline({
        ...succeeded,
        state: 'preparing',
        isFinal: false,
        finishedAt: null,
        attempt: { ...pulling, progress },
      })[2]?.note;
    expect(noteOf({ doneBytes: 2_100_000_000, totalBytes: 5_100_000_000 })).toBe('2.1 GB of 5.1 GB');
    expect(noteOf({ doneBytes: 2_100_000_000, totalBytes: null })).toBe('2.1 GB so far');
    expect(noteOf(null)).toBe('downloading the image');
  });
});
