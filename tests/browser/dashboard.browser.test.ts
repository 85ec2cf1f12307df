import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../journeys/free-port.ts';
import { until } from '../journeys/program.ts';
import { type Dashboard, startDashboard } from './dashboard.ts';

let dashboard: Dashboard;

beforeAll(async () => {
  dashboard = await startDashboard();
  await dashboard.market.startProvider('otter');
});
afterAll(async () => {
  await dashboard?.close();
});

const program =
  'echo epoch 1; echo "<img src=x onerror=alert(1)>"; sleep 2; echo epoch 2; echo model > /outputs/model.txt';

/** A finished job to look at, made by the API. */
async function finishedJob(name: string): Promise<string> {
  const { market } = dashboard;
  const job = await market.client.jobs.create({
    name,
    image: market.image,
    command: program,
    requirements: { gpus: 1, memory_mib: 256 },
  });
  await until(`${name} to end`, 60, async () => (await market.client.jobs.get(name)).finished_at !== null);
  return job.id;
}

describe('a renter without a command line', () => {
  test('submits a job on one page, sees it live, fetches the result and reads the bill', async () => {
    const { page, context, problems } = await dashboard.openPage('/jobs/new');
    await page.getByLabel('Image').fill(dashboard.market.image);
    await page.getByLabel('Command').fill(program);
    await page.getByRole('textbox', { name: /^Name/ }).fill('from-the-browser');
    // The price is on the page before anything is spent.
    await page
      .getByText(/\$0\.35/)
      .first()
      .waitFor({ timeout: 20_000 });
    await page.locator('button[type=submit]').click();
    await page.waitForURL(/\/jobs\/job_/, { timeout: 30_000 });
    const log = page.getByRole('log');
    await log.getByText('epoch 1', { exact: true }).waitFor({ timeout: 60_000 });
    await log.getByText('epoch 2', { exact: true }).waitFor({ timeout: 60_000 });
    await page.getByRole('status').getByText('Succeeded').first().waitFor({ timeout: 60_000 });
    // Output is text, whatever it looks like.
    expect(await page.locator('[role=log] img').count()).toBe(0);
    await log.getByText('<img src=x onerror=alert(1)>', { exact: true }).waitFor();

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page
        .getByRole('link', { name: /model\.txt/ })
        .first()
        .click(),
    ]);
    const path = join(dashboard.market.home, 'downloaded');
    await download.saveAs(path);
    expect(await readFile(path, 'utf8')).toBe('model\n');

    const job = await dashboard.market.client.jobs.get('from-the-browser');
    expect(job.state).toBe('succeeded');
    expect(BigInt(job.cost_micros)).toBeGreaterThan(0n);
    expect(problems).toEqual([]);
    await context.close();
  });

  test('a mistake is told beside its field and nothing that was typed is lost', async () => {
    const { page, context } = await dashboard.openPage('/jobs/new');
    await page.getByLabel('Image').fill('not an image!');
    await page.getByLabel('Command').fill('echo keep me');
    await page.locator('button[type=submit]').click();
    await page.locator('[aria-invalid=true]').first().waitFor({ timeout: 20_000 });
    expect(await page.getByLabel('Image').inputValue()).toBe('not an image!');
    expect(await page.getByLabel('Command').inputValue()).toBe('echo keep me');
    await context.close();
  });

  test('what most jobs leave to the market is behind a disclosure that works by keyboard and opens for a mistake', async () => {
    const { page, context, problems } = await dashboard.openPage('/jobs/new');
    await page.getByLabel('Image').fill(dashboard.market.image);
    const driver = page.getByLabel('Lowest driver version');
    expect(await driver.isVisible()).toBe(false);
    await page.locator('summary', { hasText: 'Advanced' }).focus();
    await page.keyboard.press('Enter');
    await driver.waitFor();
    await driver.fill('new');
    await page.locator('summary', { hasText: 'Advanced' }).click();
    await page.locator('button[type=submit]').click();
    // A field that is wrong is not hidden; its error belongs to it.
    await page
      .getByText('Must be a version of at most four numbers such as 535.104.')
      .waitFor({ timeout: 20_000 });
    expect(await driver.isVisible()).toBe(true);
    expect(await driver.getAttribute('aria-describedby')).toContain('field-driver-error');
    expect(problems).toEqual([]);
    await context.close();
  });

  test('submits a sweep on the same form: the price of all before, one page for all after', async () => {
    const { page, context, problems } = await dashboard.openPage('/jobs/new');
    await page.getByLabel('Image').fill(dashboard.market.image);
    await page.getByLabel('Command').fill('echo $lr $seed');
    await page.getByLabel('GPUs', { exact: true }).selectOption('0');
    await page.locator('summary', { hasText: 'Advanced' }).click();
    await page.getByLabel('Or one for each combination of values').fill('lr=0.1, 0.01\nseed');
    await page.getByText('Line 2 is not NAME=value.').waitFor({ timeout: 20_000 });
    await page.getByLabel('Or one for each combination of values').fill('lr=0.1, 0.01\nseed=1, 2');
    await page.getByLabel('At most so many at a time').fill('2');
    await page.getByText('The most all may cost').waitFor({ timeout: 20_000 });
    await page.getByRole('button', { name: 'Submit 4 jobs' }).click();
    await page.waitForURL(/\/groups\/group_/, { timeout: 30_000 });
    await page.getByText('The same job 4 times, at most 2 at a time.').waitFor({ timeout: 20_000 });
    expect(problems).toEqual([]);
    await context.close();
  });

  test('a job that fits nowhere says why and what would change it', async () => {
    const { market } = dashboard;
    const job = await market.client.jobs.create({
      name: 'eighty',
      image: market.image,
      command: 'true',
      requirements: { gpus: 1, min_vram_mib: 76_294 },
    });
    const { page, context } = await dashboard.openPage(`/jobs/${job.id}`);
    await page.getByText(/less than 80 GB of GPU memory/).waitFor({ timeout: 20_000 });
    await page
      .getByText(/--vram 24GB/)
      .first()
      .waitFor();
    await page
      .getByRole('button', { name: /cancel/i })
      .first()
      .click();
    await page
      .getByRole('alertdialog')
      .getByRole('button', { name: /cancel|stop/i })
      .last()
      .click();
    await page.getByRole('status').getByText('Cancelled').first().waitFor({ timeout: 20_000 });
    await context.close();
  });
});

describe('a GPU owner', () => {
  test('sees the machine, that its GPUs are simulated, what it earned, and how to add another', async () => {
    await finishedJob('earner');
    const { page, context, problems } = await dashboard.openPage('/gpu-owners');
    await page.getByText('otter').first().waitFor({ timeout: 20_000 });
    await page
      .getByText(/simulated/i)
      .first()
      .waitFor();
    await page
      .getByText(/NVIDIA GeForce RTX 4090/)
      .first()
      .waitFor();
    expect(problems).toEqual([]);
    await context.close();
  });

  test('pauses the machine on its card, sees until when, and gives it work again', async () => {
    const { page, context, problems } = await dashboard.openPage('/gpu-owners');
    await page.getByRole('button', { name: 'Availability of otter' }).click();
    await page.getByRole('menuitem', { name: 'Pause for 2 hours' }).click();
    await page.getByText(/Takes no new work\s+until/).waitFor({ timeout: 20_000 });
    const { items } = await dashboard.market.client.machines.list();
    expect(items.find(({ name }) => name === 'otter')?.availability).toBe('paused');
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('Takes no new work').waitFor({ state: 'detached', timeout: 20_000 });
    expect(problems).toEqual([]);
    await context.close();
  });
});

test('an owner plans an absence on the card, is told when it is, and takes it back', async () => {
  const { page, context, problems } = await dashboard.openPage('/gpu-owners');
  const menu = page.getByRole('button', { name: /Availability of otter/ });
  await menu.click();
  await page.getByRole('menuitem', { name: 'Plan an absence' }).click();
  const until = page.getByLabel('Until');
  const planned = await until.inputValue();
  await until.fill('2020-01-01T10:00');
  await page.getByRole('button', { name: 'Plan it' }).click();
  await page.getByText('Must be after it begins.').waitFor();
  const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
  expect(violations.map(({ id }) => id)).toEqual([]);
  await until.fill(planned);
  await page.getByRole('button', { name: 'Plan it' }).click();
  await page.getByText(/^Away from /).waitFor({ timeout: 20_000 });
  await menu.click();
  await page.getByRole('menuitem', { name: 'Take the absence back' }).click();
  await page.getByText(/^Away from /).waitFor({ state: 'detached', timeout: 20_000 });
  expect(problems).toEqual([]);
  await context.close();
});

test('the page of a machine tells its owner how each try ended and what it earned', async () => {
  await finishedJob('one-try');
  const { page, context, problems } = await dashboard.openPage('/gpu-owners');
  await page.getByRole('link', { name: /^All it was given/ }).click();
  await page.waitForURL(/\/gpu-owners\/prov_/, { timeout: 20_000 });
  await page.getByText('counts for it').first().waitFor({ timeout: 20_000 });
  await page.getByText('The program ended successfully.').first().waitFor();
  expect(await page.getByText('one-try').count()).toBe(0);
  expect(problems).toEqual([]);
  await context.close();
});

describe('every page', () => {
  let machineId: string;
  let jobId: string;
  let groupId: string;
  beforeAll(async () => {
    machineId = (await dashboard.market.client.machines.list()).items[0]?.id ?? 'none';
    jobId = await finishedJob('looked-at');
    const { client, image } = dashboard.market;
    const spec = { name: 'sweep', image, command: 'exit 1', requirements: { memory_mib: 64 } };
    groupId = (await client.groups.create({ spec, array: { matrix: { lr: [0.1, 0.01] } } })).id;
    await client.schedules.create({ name: 'nightly', cron: '30 3 * * *', spec: { image } });
    await until('sweep to end', 60, async () => (await client.groups.get('sweep')).state !== 'active');
  });
  const pages = (): [string, string][] => [
    ['dashboard', '/dashboard'],
    ['jobs', '/jobs'],
    ['submit', '/jobs/new'],
    ['job', `/jobs/${jobId}`],
    ['group', `/groups/${groupId}`],
    ['schedules', '/schedules'],
    ['gpu-owners', '/gpu-owners'],
    ['machine', `/gpu-owners/${machineId}`],
  ];

  test('has no accessibility violation and no error, in both themes, at desktop and phone width', async () => {
    const shots = process.env.SCREENSHOT_DIR;
    if (shots) await mkdir(shots, { recursive: true });
    for (const [name, path] of pages()) {
      const { page, context, problems } = await dashboard.openPage(path, {
        colorScheme: 'light',
        reducedMotion: 'reduce',
      });
      await page.locator('h1').first().waitFor({ timeout: 20_000 });
      await page.waitForLoadState('load');
      if (name === 'submit') await page.locator('summary', { hasText: 'Advanced' }).click();
      if (name === 'job') await page.getByRole('log').getByText('epoch 2').waitFor({ timeout: 20_000 });
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await page.locator(`html.${colorScheme}`).waitFor({ state: 'attached', timeout: 5_000 });
        for (const width of [1280, 390]) {
          await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
          // In the page itself: there are no frames of others, and a second page for each look takes seconds.
          const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
          const found = violations.map(
            ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(' ')}`,
          );
          expect(found, `${name} ${colorScheme} ${width}`).toEqual([]);
          if (shots)
            await page.screenshot({
              path: join(shots, `${name}-${colorScheme}-${width}.png`),
              fullPage: true,
            });
        }
      }
      expect(problems, name).toEqual([]);
      await context.close();
    }
  });

  test('fits 320 px without scrolling sideways', async () => {
    for (const [name, path] of pages()) {
      const { page, context } = await dashboard.openPage(path, { viewport: { width: 320, height: 700 } });
      await page.locator('h1').first().waitFor({ timeout: 20_000 });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow, name).toBeLessThanOrEqual(0);
      await context.close();
    }
  });

  test('shows the keyboard where it is: every stop of Tab is visible', async () => {
    const { page, context } = await dashboard.openPage('/jobs');
    await page.locator('h1').first().waitFor({ timeout: 20_000 });
    for (let stop = 0; stop < 12; stop += 1) {
      await page.keyboard.press('Tab');
      const seen = await page.evaluate(() => {
        const focused = document.activeElement;
        if (!focused || focused === document.body) return 'nothing has the focus';
        const box = focused.getBoundingClientRect();
        const style = getComputedStyle(focused);
        const marked = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
        return box.width > 0 && box.height > 0 && marked
          ? 'visible'
          : `${focused.outerHTML.slice(0, 200)} is not marked`;
      });
      expect(seen).toBe('visible');
    }
    await context.close();
  });

  test('keeps no secret where a browser could read it', async () => {
    const { page, context } = await dashboard.openPage('/jobs');
    await page.locator('h1').first().waitFor({ timeout: 20_000 });
    expect(await page.content()).not.toContain(dashboard.market.token.slice(-20));
    expect(await context.cookies()).toEqual([]);
    await context.close();
  });
});

describe('without the local operator', () => {
  test('pages lead to the sign-in, a wrong key is refused, the right one opens the market', async () => {
    const port = await freePort();
    const server = await dashboard.serve(false, port);
    try {
      const { page, context } = await dashboard.openPage('/icon.svg');
      await page.goto(`http://127.0.0.1:${port}/jobs`);
      await page.waitForURL(/sign-in/, { timeout: 20_000 });
      const field = page.locator('input[type=password]');
      await field.fill('cf_wrong');
      await page.locator('button[type=submit]').click();
      await page.getByText(/not valid/).waitFor({ timeout: 20_000 });
      await field.fill(dashboard.market.token);
      await page.locator('button[type=submit]').click();
      await page.waitForURL((url) => !url.pathname.includes('sign-in'), { timeout: 20_000 });
      const cookies = await context.cookies();
      expect(cookies.map(({ httpOnly, sameSite }) => ({ httpOnly, sameSite }))).toEqual([
        { httpOnly: true, sameSite: 'Lax' },
      ]);
      await context.close();
    } finally {
      await server.stop();
    }
  });

  test('a page of another site that points its name at this machine is not served as the operator', async () => {
    const { request } = await import('node:http');
    const port = Number(new URL(dashboard.address).port);
    const location = await new Promise<string | undefined>((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/jobs', headers: { host: 'evil.example' } }, (response) => {
        response.resume();
        resolve(response.headers.location ?? `status ${response.statusCode}`);
      })
        .on('error', reject)
        .end();
    });
    expect(location).toMatch(/sign-in/);
  });
});
