import type { PullProgress } from './container-driver.ts';
import type { PullLine } from './engine-replies.ts';

interface Layer {
  /** Null until the engine has said it, with the first bytes. */
  totalBytes: number | null;
  doneBytes: number;
  downloaded: boolean;
}

/**
 * Adds up what the engine says about each layer of a pull. The engine fetches a few layers at a time and tells
 * a layer's size only when it begins with it, so the total stays unknown until the last one has begun.
 */
export class PullTracker {
  readonly #layers = new Map<string, Layer>();
  #extracting = false;

  /** Takes one line in. True when it changed what `progress` says. */
  take(line: PullLine): boolean {
    if (line.id === undefined || line.status === undefined) return false;
    const { current, total } = line.progressDetail ?? {};
    switch (line.status) {
      case 'Pulling fs layer':
      case 'Waiting':
        if (this.#layers.has(line.id)) return false;
        this.#layers.set(line.id, { totalBytes: null, doneBytes: 0, downloaded: false });
        return true;
      case 'Downloading': {
        const layer = this.#layer(line.id);
        if (total !== undefined && total > 0) layer.totalBytes = total;
        // A retry starts the layer again; a progress that goes back would look like a broken one.
        layer.doneBytes = Math.max(layer.doneBytes, current ?? 0);
        return true;
      }
      case 'Verifying Checksum':
      case 'Download complete': {
        const layer = this.#layer(line.id);
        layer.downloaded = true;
        // A layer of a few bytes is there before its size was ever told.
        layer.totalBytes ??= layer.doneBytes;
        layer.doneBytes = layer.totalBytes;
        return true;
      }
      case 'Extracting':
        this.#extracting = true;
        return true;
      case 'Already exists':
        return this.#layers.delete(line.id);
      default:
        return false;
    }
  }

  get progress(): PullProgress {
    const layers = [...this.#layers.values()];
    const known = layers.every((layer) => layer.totalBytes !== null);
    const allHere = layers.length > 0 && layers.every((layer) => layer.downloaded);
    return {
      bytesDone: layers.reduce((sum, layer) => sum + layer.doneBytes, 0),
      bytesTotal:
        layers.length > 0 && known ? layers.reduce((sum, layer) => sum + (layer.totalBytes ?? 0), 0) : null,
      phase: layers.length === 0 ? 'resolving' : allHere && this.#extracting ? 'extracting' : 'downloading',
    };
  }

  /** What is known to be fetched in all: the sizes that have been told. */
  get bytesAtLeast(): number {
    return [...this.#layers.values()].reduce(
      (sum, { totalBytes, doneBytes }) => sum + Math.max(totalBytes ?? 0, doneBytes),
      0,
    );
  }

  #layer(id: string): Layer {
    let layer = this.#layers.get(id);
    if (!layer) {
      layer = { totalBytes: null, doneBytes: 0, downloaded: false };
      this.#layers.set(id, layer);
    }
    return layer;
  }
}
