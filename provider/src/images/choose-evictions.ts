/** An image that the agent pulled, and may therefore remove. */
export interface PulledImage {
  /** As the job wrote it; the engine knows the image by it. */
  reference: string;
  /** `sha256:…` of its configuration: what the name stood for when it was pulled. */
  id: string;
  /** As it lies on the disk. Layers that it shares with others are counted in each. */
  sizeBytes: number;
  usedAtMs: number;
  /** A login brought it: it is nobody else's, and goes when no task needs it. */
  isPrivate: boolean;
}

/**
 * Which images go so that the rest fits: the least lately used first, and never one that is in use or pinned, so
 * there may be more left than fits.
 */
export function chooseEvictions(
  images: readonly PulledImage[],
  { budgetBytes, keep }: { budgetBytes: number; keep: (image: PulledImage) => boolean },
): PulledImage[] {
  // Several names of one image are one image on the disk, which goes with the last of them.
  const names = new Map<string, number>();
  for (const { id } of images) names.set(id, (names.get(id) ?? 0) + 1);
  const sizes = new Map(images.map(({ id, sizeBytes }) => [id, sizeBytes]));
  let bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const evicted: PulledImage[] = [];
  for (const image of images.toSorted((a, b) => a.usedAtMs - b.usedAtMs)) {
    if (bytes <= budgetBytes) break;
    if (keep(image)) continue;
    evicted.push(image);
    const left = (names.get(image.id) ?? 1) - 1;
    names.set(image.id, left);
    if (left === 0) bytes -= image.sizeBytes;
  }
  return evicted;
}
