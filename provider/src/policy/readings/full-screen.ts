import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { known, type Reading, unknown } from '../readings.ts';
import { names, text } from './input-activity.ts';

const askMs = 2_000;

/**
 * What fills the screen or keeps it awake: a film, a game, a talk. Players tell the system's login manager not to
 * count the time as idle; under X the window manager says which window is full-screen. A Wayland desktop tells
 * neither to other programs unless the player speaks to the login manager.
 *
 * @param display the X display, such as `:0`; null where there is none
 */
export async function readFullScreen(root: string, display: string | null): Promise<Reading<string | null>> {
  const folder = join(root, 'run/systemd/inhibit');
  const files = (await names(folder)).filter((name) => /^\d+$/.test(name));
  for (const file of files) {
    const fields = new Map(
      ((await text(join(folder, file))) ?? '').split('\n').map((line) => {
        const at = line.indexOf('=');
        return [line.slice(0, at), line.slice(at + 1)] as const;
      }),
    );
    if (fields.get('WHAT')?.split(':').includes('idle') && fields.get('MODE') === 'block')
      return known(shown(fields.get('WHO') ?? ''));
  }
  if (display === null) {
    const isThere = (await names(join(root, 'run/systemd'))).length > 0;
    return isThere ? known(null) : unknown('there is no desktop that tells');
  }
  try {
    const window = /0x[0-9a-f]+/i.exec(await ask(display, ['-root', '_NET_ACTIVE_WINDOW']))?.[0];
    if (!window || /^0x0+$/.test(window)) return known(null);
    const answer = await ask(display, ['-id', window, '_NET_WM_STATE', 'WM_CLASS']);
    if (!answer.includes('_NET_WM_STATE_FULLSCREEN')) return known(null);
    return known(shown(/WM_CLASS[^=]*=\s*"([^"]*)"/.exec(answer)?.[1] ?? ''));
  } catch {
    return unknown('the X server cannot be asked (is xprop installed?)');
  }
}

async function ask(display: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('xprop', ['-display', display, ...args], {
    timeout: askMs,
    maxBuffer: 65_536,
  });
  return stdout;
}

function shown(name: string): string {
  return name.replace(/[^\p{L}\p{N} ._-]/gu, '').slice(0, 60) || 'a program';
}
