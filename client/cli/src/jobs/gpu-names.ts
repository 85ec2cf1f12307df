import { editDistance } from '@computefabric/protocol/grammar/similar';

/**
 * The model on the market that a name which matches none of them was probably meant to be; null when there
 * is none near. `surely` when it only differs in characters that look alike.
 */
export function similarGpu(
  asked: string,
  models: readonly string[],
): { model: string; surely: boolean } | null {
  const wanted = bare(asked);
  if (wanted.length < 3 || models.some((model) => bare(model).includes(wanted))) return null;
  const alike = models.find((model) => unmistakable(bare(model)).includes(unmistakable(wanted)));
  if (alike !== undefined) return { model: alike, surely: true };
  let best: { model: string; distance: number } | null = null;
  for (const model of models) {
    const name = bare(model);
    for (let at = 0; at + wanted.length <= name.length + 1; at += 1) {
      const distance = editDistance(wanted, name.slice(at, at + wanted.length));
      if (distance <= 2 && distance < (best?.distance ?? 3)) best = { model, distance };
    }
  }
  return best && { model: best.model, surely: false };
}

/** As the market compares: case and spaces do not matter. */
function bare(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

function unmistakable(name: string): string {
  return name.replaceAll('o', '0').replaceAll(/[il]/g, '1').replaceAll('s', '5');
}
