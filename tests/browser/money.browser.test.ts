import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../journeys/program.ts';
import { type StripeServer, startStripeServer } from '../stripe-server/server.ts';
import { type Dashboard, startDashboard } from './dashboard.ts';

// Money as people see it: one path from a card to a bank account, each test going on where the one before ended.

const webhookSecret = 'whsec_browser';

let stripe: StripeServer;
let dashboard: Dashboard;
beforeAll(async () => {
  stripe = await startStripeServer();
  dashboard = await startDashboard({
    STRIPE_SECRET_KEY: 'sk_test_standin',
    STRIPE_WEBHOOK_SECRET: webhookSecret,
    STRIPE_API_BASE: stripe.url,
    EARNINGS_HOLD_DAYS: '0',
    EARNINGS_HOLD_JOBS: '0',
    PAYOUT_MINIMUM_USD: '0.01',
    PLATFORM_FEE_BPS: '1000',
  });
  const { market } = dashboard;
  await stripe.control('register-webhook', { url: `${market.url}/webhooks/stripe`, secret: webhookSecret });
  // One cent a second, so that limits are reached while somebody looks on.
  await market.startProvider('otter', { PROVIDER_PRICE_PER_GPU_HOUR: '36' });
});
afterAll(async () => {
  await dashboard?.close();
  await stripe?.close();
});

/** No accessibility violation in both themes, nothing sideways at 320 px; pictures where they are asked for. */
async function lookAt(page: Page, name: string): Promise<void> {
  const shots = process.env.SCREENSHOT_DIR;
  if (shots) await mkdir(shots, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.locator(`html.${colorScheme}`).waitFor({ state: 'attached', timeout: 5_000 });
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(' ')}`);
    expect(found, `${name} ${colorScheme}`).toEqual([]);
    for (const width of shots ? [1280, 390] : []) {
      await page.setViewportSize({ width, height: 900 });
      await page.screenshot({
        path: join(shots ?? '', `${name}-${colorScheme}-${width}.png`),
        fullPage: true,
      });
    }
  }
  await page.setViewportSize({ width: 320, height: 700 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(overflow, name).toBeLessThanOrEqual(0);
  await page.setViewportSize({ width: 1280, height: 900 });
}

test('a renter tops up on the page of the payment provider and sees the money arrive', async () => {
  const { page, context, problems } = await dashboard.openPage('/billing');
  await page.getByLabel('Amount', { exact: true }).fill('0.10');
  await page.getByRole('button', { name: 'Top up', exact: true }).click();
  await page.getByText('Must be at least 0.50 USD.').waitFor({ timeout: 20_000 });
  await page.getByLabel('Amount', { exact: true }).fill('20');
  await page.getByRole('button', { name: 'Top up', exact: true }).click();
  await page.waitForURL(/\/pay\//, { timeout: 30_000 });
  await page.getByRole('button', { name: /^Pay/ }).click();
  await page.waitForURL(/\/billing$/, { timeout: 30_000 });
  await page
    .getByText(/\$20\.00 has arrived/)
    .first()
    .waitFor({ timeout: 60_000 });
  await page.getByText('Paid in by card').waitFor();
  await lookAt(page, 'billing');
  expect(await page.content()).not.toContain('sk_test');
  expect(problems).toEqual([]);
  await context.close();
});

test('a job is stopped by its limit to the micro, its receipt says so, and it is contested and refunded', async () => {
  const { market } = dashboard;
  const { page, context, problems } = await dashboard.openPage('/jobs/new');
  await page.getByLabel('Image').fill(market.image);
  await page.getByLabel('Command').fill('echo begun; sleep 120');
  await page.getByLabel('Highest price per GPU-hour').fill('40');
  await page.getByLabel('May cost at most').fill('0.05');
  await page.getByLabel('As that comes near').selectOption('stop');
  await page.getByText(/^Expected: /).waitFor({ timeout: 30_000 });
  await page.getByText('Waiting for the form').waitFor({ state: 'detached' });
  await page.locator('button[type=submit]').click();
  await page.waitForURL(/\/jobs\/job_/, { timeout: 30_000 });
  await page.getByRole('status').getByText('Expired').first().waitFor({ timeout: 90_000 });
  const contest = page.getByRole('button', { name: 'Contest this job' });
  await contest.waitFor({ timeout: 30_000 });
  await page.getByRole('tab', { name: 'Receipt' }).click();
  await page.getByRole('link', { name: 'Download JSON' }).waitFor({ timeout: 30_000 });
  await page.getByText('expected', { exact: true }).waitFor();
  await lookAt(page, 'receipt');

  const id = new URL(page.url()).pathname.split('/').at(-1) ?? '';
  const job = await market.client.jobs.get(id);
  expect(BigInt(job.cost_micros)).toBeLessThanOrEqual(50_000n);
  expect(job.end_reason).toBe('funds-exhausted');

  await contest.click();
  await page.getByRole('button', { name: 'Contest it' }).click();
  await page.getByText('Say in a sentence what was wrong.').waitFor({ timeout: 20_000 });
  await page.getByLabel('In your words').fill('It printed nothing useful.');
  await page.getByRole('button', { name: 'Contest it' }).click();
  await page.getByText('With the operator').waitFor({ timeout: 30_000 });
  const [dispute] = (await market.client.disputes.list({ as: 'operator', state: 'open' })).items;
  if (!dispute) throw new Error('the dispute is not with the operator');
  const explanation = 'The machine was not what it said.';
  await market.client.disputes.decide(dispute.id, { outcome: 'granted', explanation });
  await page.reload();
  await page.getByText(explanation).first().waitFor({ timeout: 30_000 });
  await page.getByText('Refunded').first().waitFor();
  await lookAt(page, 'contested');
  expect(problems).toEqual([]);
  await context.close();
});

test('unspent money goes back to the card', async () => {
  const { page, context, problems } = await dashboard.openPage('/billing');
  await page.getByRole('button', { name: 'Give money back to my card' }).click();
  await page.getByLabel('Amount').last().fill('5');
  await page.getByRole('button', { name: 'Give it back' }).click();
  await page.getByText('$5.00 is on its way to your card.').waitFor({ timeout: 30_000 });
  await page.getByRole('tab', { name: 'Card payments' }).click();
  await page.getByText('Back to the card', { exact: true }).waitFor({ timeout: 30_000 });
  expect(problems).toEqual([]);
  await context.close();
});

test('an owner says where the money goes, sees what the machine earned, and has it paid out', async () => {
  const { market } = dashboard;
  await market.client.jobs.create({
    name: 'earner',
    image: market.image,
    command: 'sleep 3',
    max_price_per_hour_micros: '40000000',
    max_cost_micros: '1000000',
    requirements: { gpus: 1, memory_mib: 256 },
  });
  await until('the earnings to be payable', 90, async () => {
    return BigInt((await market.client.earnings.get()).payable_micros) >= 10_000n;
  });
  const { page, context, problems } = await dashboard.openPage('/earnings');
  await page.getByText('Not set up yet.').waitFor({ timeout: 30_000 });
  await page.getByText('Contested jobs on your machines').waitFor();
  // The renter's words are not the owner's to read.
  expect(await page.getByText('It printed nothing useful.').count()).toBe(0);
  await page.getByRole('button', { name: 'Set up payouts' }).click();
  await page.getByRole('button', { name: 'Go to its page' }).click();
  await page.waitForURL(/\/pages\//, { timeout: 30_000 });
  await page.getByRole('button', { name: 'Submit' }).click();
  await page.waitForURL(/\/earnings\?onboarding=done/, { timeout: 30_000 });
  await page.getByText(/^Payouts are set up/).waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Pay out now' }).click();
  await page
    .getByText(/Set out|Being sent|Sent to your account|At your bank/)
    .first()
    .waitFor({ timeout: 60_000 });
  await lookAt(page, 'earnings');
  expect(problems).toEqual([]);
  await context.close();
});
