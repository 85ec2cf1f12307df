/**
 * Whether a card is of a model that a person named. Case, spaces and dashes do not matter, and the maker and
 * trailing words for memory or socket may be left out: `rtx4090` is `NVIDIA GeForce RTX 4090` and `A100` is
 * `NVIDIA A100 80GB PCIe`. Any other word counts: `RTX 4090` is not `RTX 4090 Laptop GPU`.
 */
export function isModel(cardName: string, model: string): boolean {
  return modelRule([model])(cardName);
}

/** The same for several models of which any will do, read once: asked of every card of every machine. */
export function modelRule(models: readonly string[]): (cardName: string) => boolean {
  const asked = models.map(words).filter((model) => model.length > 0);
  const known = new Map<string, boolean>();
  return (cardName) => {
    const before = known.get(cardName);
    if (before !== undefined) return before;
    const card = words(cardName);
    // The model must end the name, apart from a memory size: "A100" is the card "NVIDIA A100 80GB PCIe".
    const ends = [card.length, ...trailingQualifiers(card)];
    const fits = asked.some((model) => ends.some((end) => endsWith(card.slice(0, end), model)));
    // Names come from machines: what is remembered has a size.
    if (known.size >= mostNamesRemembered) known.clear();
    known.set(cardName, fits);
    return fits;
  };
}

const mostNamesRemembered = 1_000;

function endsWith(card: readonly string[], model: readonly string[]): boolean {
  const tail = card.slice(-model.length);
  return tail.length === model.length && tail.every((word, index) => word === model[index]);
}

const qualifier = /^(\d+gb|pcie|sxm\d?|hbm\d+e?|nvl)$/;

function trailingQualifiers(card: readonly string[]): number[] {
  const ends: number[] = [];
  let end = card.length;
  while (end > 1 && qualifier.test(card[end - 1] ?? '')) {
    end -= 1;
    ends.push(end);
  }
  return ends;
}

function words(name: string): string[] {
  return name
    .toLowerCase()
    .replace(/([a-z])(\d{3,})/g, '$1 $2') // "RTX4090" is "RTX 4090"; "a100" becomes "a 100" on both sides
    .split(/[\s_-]+/)
    .filter((word) => word !== '');
}
