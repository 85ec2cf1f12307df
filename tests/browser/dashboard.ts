import { join } from 'node:path';
import { type BrowserContextOptions, chromium } from 'playwright-core';
import { ensureDashboardBuild } from '../../scripts/lib/next-build.mjs';
import { freePort } from '../journeys/free-port.ts';
import { startMarket } from '../journeys/market.ts';
import { Program, root, until } from '../journeys/program.ts';

// The background services of a desktop browser have nobody to talk to in a test and only cost time.
const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export type Dashboard = Awaited<ReturnType<typeof startDashboard>>;

/**
 * The real market with the built dashboard in front of it, and a browser.
 *
 * @param env settings of the orchestrator
 */
export async function startDashboard(env: Record<string, string> = {}) {
  const built = await ensureDashboardBuild({ onProgress: () => undefined });
  if (!built.ok) throw new Error(`the dashboard does not build:\n${built.tail}`);
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const market = await startMarket({ env: { DASHBOARD_URL: address, ...env } });

  /** `signedIn`: as `npm start` runs it, the local operator is the viewer. */
  async function serve(signedIn: boolean, servePort = port): Promise<Program> {
    const program = new Program(
      'dashboard',
      join(root, 'node_modules/next/dist/bin/next'),
      ['start', '-H', '127.0.0.1', '-p', String(servePort)],
      {
        NODE_ENV: 'production',
        COMPUTEFABRIC_URL: market.url,
        DATABASE_URL: await market.databaseUrl(),
        NEXT_TELEMETRY_DISABLED: '1',
        ...(signedIn ? { DASHBOARD_LOCAL_TOKEN: market.token } : {}),
      },
    );
    await until('the dashboard', 60, async () => {
      if (!program.running) throw new Error(`the dashboard ended:\n${program.output}`);
      return (await fetch(`http://127.0.0.1:${servePort}/icon.svg`)).ok;
    });
    return program;
  }

  const program = await serve(true);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
    args: quiet,
  });

  async function openPage(path: string, options: BrowserContextOptions = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(`console: ${message.text()}`);
    });
    page.on('request', (request) => {
      if (!request.url().startsWith('http://127.0.0.1:') && /^https?:/.test(request.url())) {
        problems.push(`outside request: ${request.url()}`);
      }
    });
    await page.goto(`${address}${path}`);
    return { page, context, problems };
  }

  return {
    market,
    address,
    browser,
    serve,
    openPage,
    close: async () => {
      await browser.close();
      await program.stop();
      await market.close();
    },
  };
}
