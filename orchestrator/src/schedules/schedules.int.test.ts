import { jobs } from '@computefabric/db/schema/jobs';
import { schedules } from '@computefabric/db/schema/schedules';
import type { ScheduleId } from '@computefabric/protocol/ids';
import { cancelJob } from '@computefabric/protocol/user-api/jobs';
import * as api from '@computefabric/protocol/user-api/schedules';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { errorOf, parsed } from '../testing/replies.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import { fireSchedule, mostFailures } from './fire-schedule.ts';

let market: TestMarket;
let user: TestUser;
beforeAll(async () => {
  market = await startTestMarket();
});
afterAll(() => market.close());
beforeEach(async () => {
  user = await market.addUser();
});

const deps = () => ({ db: market.db, defaultMaxPricePerHourMicros: 1_000_000n });
const spec = { image: 'busybox', time_limit_seconds: 60, requirements: { regions: ['nowhere'] } };
/** Once a year: only a test makes it due. */
const rarely = { cron: '0 3 1 1 *', spec };

async function create(json: object = {}, who = user) {
  const body = { name: 'nightly', ...rarely, ...json };
  const answer = await market.call('/v1/schedules', { method: 'POST', token: who.token, json: body });
  return parsed(api.createSchedule.reply, answer);
}
async function view(name = 'nightly', who = user) {
  return parsed(api.getSchedule.reply, await market.call(`/v1/schedules/${name}`, { token: who.token }));
}
async function firings(name = 'nightly', who = user) {
  const answer = await market.call(`/v1/schedules/${name}/firings`, { token: who.token });
  return parsed(api.listFirings.reply, answer).items;
}
async function change(state: string, who = user) {
  const json = { state };
  return await market.call('/v1/schedules/nightly', { method: 'PATCH', token: who.token, json });
}
/** Lets its time have come, some seconds ago, without telling the worker. */
async function makeDue(id: ScheduleId, seconds = 1): Promise<void> {
  const nextAt = sql`date_trunc('milliseconds', now() - make_interval(secs => ${seconds}))`;
  await market.db.update(schedules).set({ nextAt }).where(eq(schedules.id, id));
}
async function jobsOf(id: ScheduleId) {
  return await market.db.select().from(jobs).where(eq(jobs.scheduleId, id));
}

describe('a time that has come', () => {
  test('is fired by the worker that runs: a job with hold and a name that tells the time', async () => {
    const { id } = await create({ cron: '* * * * *' });
    await makeDue(id);
    await market.db.execute(sql`select pg_notify('cf_schedule', '')`);
    await waitUntil('a job', async () => (await jobsOf(id)).length === 1);
    const [job] = await jobsOf(id);
    expect(job?.name).toMatch(/^nightly-\d{8}-\d{4}$/);
    expect((await view()).last).toMatchObject({ state: 'submitted', job_name: job?.name });
  });

  test('fires once, however many workers try at the same time', async () => {
    const { id } = await create();
    for (let round = 1; round <= 3; round += 1) {
      await makeDue(id, round * 90);
      const fired = await Promise.all(Array.from({ length: 8 }, () => fireSchedule(deps(), id)));
      expect(fired.filter(Boolean).length).toBeLessThanOrEqual(1); // 0 when the market's own worker was first
      await waitUntil('a job', async () => (await jobsOf(id)).length >= round);
      for (const job of await jobsOf(id))
        await market.call(cancelJob.path.replace('{job}', job.id), { method: 'POST', token: user.token });
      expect(await jobsOf(id)).toHaveLength(round);
    }
    expect(await firings()).toHaveLength(3);
  });

  test('that many were missed is made up for by one firing, and the next one lies ahead', async () => {
    const { id } = await create({ cron: '* * * * *' });
    await makeDue(id, 7_200);
    await fireSchedule(deps(), id);
    await waitUntil('a job', async () => (await jobsOf(id)).length > 0);
    expect(await fireSchedule(deps(), id)).toBe(false);
    expect(await jobsOf(id)).toHaveLength(1);
    expect(Date.parse((await view()).next_at ?? '')).toBeGreaterThan(Date.now() - 1_000);
  });

  test('is left out while the job of the time before has not ended, unless overlap is allowed', async () => {
    const { id } = await create();
    for (const seconds of [200, 100]) {
      await makeDue(id, seconds);
      await fireSchedule(deps(), id);
    }
    expect((await firings()).map((firing) => firing.state)).toEqual(['skipped', 'submitted']);
    const allowed = await create({ name: 'often', overlap: 'allow' });
    for (const seconds of [200, 100]) {
      await makeDue(allowed.id, seconds);
      await fireSchedule(deps(), allowed.id);
    }
    expect((await firings('often')).map((firing) => firing.state)).toEqual(['submitted', 'submitted']);
  });

  test('without the money for its job is recorded; after some in a row the schedule pauses and says why', async () => {
    const poor = await market.addUser({ micros: 1n });
    const { id } = await create({}, poor);
    for (let time = 1; time <= mostFailures; time += 1) {
      await makeDue(id, (mostFailures - time + 1) * 100);
      await fireSchedule(deps(), id);
    }
    const paused = await view('nightly', poor);
    expect(paused).toMatchObject({ state: 'paused', next_at: null, failures: mostFailures });
    expect(paused.paused_because).toContain('balance');
    const items = await firings('nightly', poor);
    expect(items).toHaveLength(mostFailures);
    expect(items.every((firing) => firing.state === 'failed' && firing.job_id === null)).toBe(true);
    expect(await jobsOf(id)).toHaveLength(0);
    const resumed = parsed(api.changeSchedule.reply, await change('active', poor));
    expect(resumed).toMatchObject({ state: 'active', failures: 0, paused_because: null });
  });
});

describe('a schedule', () => {
  test('that is paused does not fire; resumed, it goes on from its next time', async () => {
    const { id } = await create({ cron: '* * * * *' });
    expect(parsed(api.changeSchedule.reply, await change('paused'))).toMatchObject({ next_at: null });
    expect(await fireSchedule(deps(), id)).toBe(false);
    const resumed = parsed(api.changeSchedule.reply, await change('active'));
    expect(Date.parse(resumed.next_at ?? '')).toBeGreaterThan(Date.now() - 1_000);
  });

  test('that is deleted is gone with its list of firings; its jobs stay', async () => {
    const { id } = await create();
    await makeDue(id);
    await fireSchedule(deps(), id);
    const gone = await market.call('/v1/schedules/nightly', { method: 'DELETE', token: user.token });
    expect(gone.status).toBe(204);
    expect(await jobsOf(id)).toHaveLength(1);
    const again = await market.call('/v1/schedules/nightly', { token: user.token });
    expect(errorOf(again).code).toBe('schedule/not-found');
  });

  test.each([
    [{ cron: '* * * *' }, 'cron'],
    [{ cron: '99 * * * *' }, 'cron'],
    [{ cron: '0 0 30 2 *' }, 'cron'],
    [{ timezone: 'Mars/Olympus' }, 'timezone'],
    [{ name: 'No Good' }, 'name'],
    [{ spec: { ...spec, after: [{ job: 'nobody' }] } }, 'spec.after[0].job'],
  ])('%j is refused and named', async (wrong, path) => {
    const json = { name: 'nightly', ...rarely, ...wrong };
    const answer = await market.call('/v1/schedules', { method: 'POST', token: user.token, json });
    expect(errorOf(answer)).toMatchObject({ code: 'request/invalid', fields: [{ path }] });
  });

  test('has a name of its own in an account; pages go newest first', async () => {
    await create();
    const json = { name: 'nightly', ...rarely };
    const answer = await market.call('/v1/schedules', { method: 'POST', token: user.token, json });
    expect(errorOf(answer).code).toBe('schedule/name-taken');
    await create({ name: 'second' });
    const first = await market.call('/v1/schedules?limit=1', { token: user.token });
    const page = parsed(api.listSchedules.reply, first);
    expect(page.items.map((item) => item.name)).toEqual(['second']);
    const rest = await market.call(`/v1/schedules?limit=1&cursor=${page.next_cursor}`, { token: user.token });
    expect(parsed(api.listSchedules.reply, rest)).toMatchObject({
      items: [{ name: 'nightly' }],
      next_cursor: null,
    });
  });
});
