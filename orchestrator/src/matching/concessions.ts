import { formatSeconds } from '@computefabric/protocol/grammar/durations';
import { formatNames, formatPercent, formatShare } from '@computefabric/protocol/grammar/quantities';
import { formatSizeRange, formatThere, parseSizeMib } from '@computefabric/protocol/grammar/sizes';
import { compareVersions, formatVersion, reportedVersion } from '@computefabric/protocol/grammar/versions';
import { formatUsd } from '@computefabric/protocol/money';
import { unitPriceMicros } from '../pricing/price.ts';
import { compileNeeds, onlyWaits } from './filters.ts';
import type { GpuView, JobNeeds, MachineView } from './machine-view.ts';

/** One thing asked for otherwise. */
export interface Change {
  /** As the job file calls it, such as `vram` or `max_price`. */
  field: string;
  /** What to write there; null is to leave it out. */
  value: string | null;
  needs: JobNeeds;
  /** A sentence with the flag to use. */
  words: string;
}

/** A requirement that might be given up in part. */
interface Concession {
  /** The needs without it; null when nothing is asked for. */
  without(needs: JobNeeds): JobNeeds | null;
  /**
   * The nearest that this machine satisfies, and how much is given up: of the machines that would do without the
   * requirement, the one with the least is suggested.
   */
  toSuit(needs: JobNeeds, machine: MachineView, cards: readonly GpuView[]): (Change & Loss) | null;
}

interface Loss {
  loss: number;
}

/**
 * The smallest single changes with which some machine would do, cheapest concession first. Each is checked with
 * the rules again, in the form in which it would be typed.
 *
 * @param mayBeBusy also machines that would do once what runs on them has ended
 */
export function smallestChanges(
  needs: JobNeeds,
  machines: readonly MachineView[],
  mayBeBusy: boolean,
): { change: Change; fitting: MachineView[] }[] {
  return concessions.flatMap((concession) => {
    const open = concession.without(needs);
    if (!open) return [];
    const changes = machines
      .filter((machine) => fits(machine, open, mayBeBusy))
      .map((machine) => concession.toSuit(needs, machine, cardsFor(machine, open, mayBeBusy)))
      .filter((change) => change !== null)
      .toSorted((a, b) => a.loss - b.loss);
    for (const { loss: _, ...change } of changes.slice(0, mostTried)) {
      const fitting = machines.filter((machine) => fits(machine, change.needs, mayBeBusy));
      if (fitting.length > 0) return [{ change, fitting }];
    }
    return [];
  });
}

/** A change that its own machine does not satisfy is a rarity of rounding; the next one is then tried. */
const mostTried = 5;

function fits(machine: MachineView, needs: JobNeeds, mayBeBusy: boolean): boolean {
  const asked = compileNeeds(needs);
  if (asked.fails(machine) === null) return true;
  return mayBeBusy && onlyWaits(asked.failures(machine));
}

/** The cards that would do, apart from the given-up requirement. */
function cardsFor(machine: MachineView, open: JobNeeds, mayBeBusy: boolean): GpuView[] {
  const { cards } = compileNeeds(open);
  return machine.gpus.filter((gpu) => cards.suits(gpu) && (mayBeBusy || gpu.freeMilli >= open.gpuMilli));
}

/** In the order in which people would rather give them up. */
const concessions: readonly Concession[] = [
  {
    without: (needs) => (needs.class === 'on-demand' ? { ...needs, class: 'spot' } : null),
    toSuit: (needs, machine) => ({
      needs: { ...needs, class: 'spot' },
      loss: Number(unitPriceMicros({ ...needs, class: 'spot' }, machine)),
      field: 'class',
      value: 'spot',
      words: 'Take the spot price, and give way when the machine is needed (--spot).',
    }),
  },
  {
    without: (needs) => ({ ...needs, maxPricePerHourMicros: 10n ** 18n }),
    toSuit(needs, machine) {
      const price = unitPriceMicros(needs, machine);
      const value = formatUsd(price).slice(1);
      return {
        needs: { ...needs, maxPricePerHourMicros: price },
        loss: Number(price),
        ...flag('max_price', value, `Allow ${formatUsd(price)} per hour`),
      };
    },
  },
  {
    without: (needs) => (needs.regions.length > 0 ? { ...needs, regions: [] } : null),
    toSuit(needs, { region }) {
      if (region === '') return leaveOut({ ...needs, regions: [] }, 'region', 'Allow any region');
      const regions = [...needs.regions, region];
      const value = formatNames(regions);
      return {
        needs: { ...needs, regions },
        loss: 0,
        ...flag('region', value, `Allow the region ${region}`),
      };
    },
  },
  {
    without: (needs) => (needs.minReliabilityMilli > 0 ? { ...needs, minReliabilityMilli: 0 } : null),
    toSuit(needs, { reliabilityMilli }) {
      const value = formatPercent(reliabilityMilli / 1_000);
      return {
        needs: { ...needs, minReliabilityMilli: reliabilityMilli },
        loss: -reliabilityMilli,
        ...flag('reliability', value, `Accept a reliability of ${value}`),
      };
    },
  },
  {
    without: (needs) => (needs.minTier === 'community' ? null : { ...needs, minTier: 'community' }),
    toSuit: (needs, { tier }) => ({
      needs: { ...needs, minTier: tier },
      loss: tier === 'verified' ? 0 : 1,
      ...flag('tier', tier, `Accept ${tier} machines`),
    }),
  },
  {
    without: (needs) => (needs.minVramMib > 0 ? { ...needs, minVramMib: 0 } : null),
    toSuit(needs, _machine, cards) {
      const mib = cards.map((gpu) => gpu.memoryMib).toSorted((a, b) => b - a)[needs.gpus - 1];
      if (mib === undefined) return null;
      const there = formatThere(mib);
      const minVramMib = parseSizeMib(there) ?? 0;
      const range = { fromMib: minVramMib, toMib: needs.maxVramMib };
      const value = compact(needs.maxVramMib === null ? there : formatSizeRange(range));
      return {
        needs: { ...needs, minVramMib },
        loss: -mib,
        ...flag('vram', value, `Ask for ${there} of GPU memory`),
      };
    },
  },
  {
    without: (needs) => (needs.maxVramMib === null ? null : { ...needs, maxVramMib: null }),
    toSuit(needs, _machine, cards) {
      const mib = cards.map((gpu) => gpu.memoryMib).toSorted((a, b) => a - b)[needs.gpus - 1];
      if (mib === undefined) return null;
      const value = compact(formatSizeRange({ fromMib: needs.minVramMib, toMib: mib }));
      return {
        needs: { ...needs, maxVramMib: mib },
        loss: mib,
        ...flag('vram', value, `Allow GPU memory of up to ${formatThere(mib)}`),
      };
    },
  },
  {
    without: (needs) => (needs.gpuMilli < 1_000 ? { ...needs, gpuMilli: 1_000 } : null),
    toSuit: (needs) => ({
      needs: { ...needs, gpuMilli: 1_000 },
      loss: 0,
      ...flag('gpu_share', '1', 'Ask for a whole GPU'),
    }),
  },
  {
    without: (needs) => (needs.gpus === 1 && needs.gpuMilli > 1 ? { ...needs, gpuMilli: 1 } : null),
    toSuit(needs, _machine, cards) {
      const most = Math.max(0, ...cards.map((gpu) => gpu.freeMilli));
      if (most < 1 || most >= needs.gpuMilli) return null;
      const value = formatShare(most);
      return {
        needs: { ...needs, gpuMilli: most },
        loss: -most,
        ...flag('gpu_share', value, `Share a GPU: take ${value} of one`),
      };
    },
  },
  {
    without: (needs) => (needs.gpuModels.length > 0 ? { ...needs, gpuModels: [] } : null),
    toSuit(needs, _machine, cards) {
      const model = cards[0]?.name.replace(/^NVIDIA\s+(?:GeForce\s+)?/i, '');
      // Names are read as a list, where these two divide.
      if (model === undefined || /[|,]/.test(model)) return null;
      const gpuModels = [...needs.gpuModels, model];
      const value = formatNames(gpuModels);
      return { needs: { ...needs, gpuModels }, loss: 0, ...flag('gpu', value, `Allow the model ${model}`) };
    },
  },
  versionConcession(
    'minComputeCapability',
    'compute_capability',
    'compute capability',
    (_machine, gpu) => gpu?.computeCapability ?? null,
  ),
  versionConcession('minDriver', 'driver', 'driver', (_machine, gpu) => gpu?.driverVersion ?? null),
  versionConcession('minCuda', 'cuda', 'CUDA version', (machine) => machine.cudaVersion),
  {
    without: (needs) => (needs.gpus > 1 ? { ...needs, gpus: 1 } : null),
    toSuit(needs, _machine, cards) {
      const gpus = Math.min(cards.length, needs.gpus - 1);
      if (gpus < 1) return null;
      return {
        needs: { ...needs, gpus },
        loss: -gpus,
        ...flag('gpus', String(gpus), `Ask for ${gpus} GPU${gpus === 1 ? '' : 's'}`),
      };
    },
  },
  {
    without: (needs) => ({ ...needs, memoryMib: 16 }),
    toSuit: (needs, machine) => less(needs, 'memoryMib', machine.memoryMibFree, 'memory', 'memory'),
  },
  {
    without: (needs) => ({ ...needs, cpuMilli: 100 }),
    toSuit(needs, { cpuMilliFree: cpuMilli }) {
      if (cpuMilli < 100 || cpuMilli >= needs.cpuMilli) return null;
      const value = String(cpuMilli / 1_000);
      return {
        needs: { ...needs, cpuMilli },
        loss: -cpuMilli,
        ...flag('cpus', value, `Ask for ${value} CPU cores`),
      };
    },
  },
  {
    without: (needs) => (needs.diskMib > 0 ? { ...needs, diskMib: 0 } : null),
    toSuit: (needs, machine) => less(needs, 'diskMib', machine.diskMibFree, 'disk', 'disk'),
  },
  {
    without: (needs) => ({ ...needs, timeLimitSeconds: 1 }),
    toSuit(needs, { awayInMs }) {
      // The machine's time runs on while the renter reads this: a tenth of it is left for that.
      const seconds = Math.floor(((awayInMs ?? 0) * 0.9) / 60_000) * 60;
      if (seconds < 60 || seconds >= needs.timeLimitSeconds) return null;
      const value = formatSeconds(seconds);
      return {
        needs: { ...needs, timeLimitSeconds: seconds },
        loss: -seconds,
        ...flag('time_limit', value, `Run for at most ${value}, until the owner takes the machine back`),
      };
    },
  },
  {
    without: withoutGpu,
    toSuit: (needs) => {
      const without = withoutGpu(needs);
      return (
        without && {
          needs: without,
          loss: 0,
          ...flag('gpus', '0', 'Run without a GPU, and leave out what is asked of it'),
        }
      );
    },
  },
];

function withoutGpu(needs: JobNeeds): JobNeeds | null {
  if (needs.gpus === 0) return null;
  return {
    ...needs,
    gpus: 0,
    gpuModels: [],
    gpuMilli: 1_000,
    minVramMib: 0,
    maxVramMib: null,
    minComputeCapability: null,
    minDriver: null,
    minCuda: null,
  };
}

function versionConcession(
  key: 'minComputeCapability' | 'minDriver' | 'minCuda',
  field: string,
  name: string,
  reported: (machine: MachineView, gpu: GpuView | undefined) => string | null,
): Concession {
  return {
    without: (needs) => (needs[key] === null ? null : { ...needs, [key]: null }),
    toSuit(needs, machine, cards) {
      const versions = (cards.length > 0 ? cards : [undefined]).map((gpu) =>
        reportedVersion(reported(machine, gpu)),
      );
      const known = versions.filter((version) => version !== null).toSorted(compareVersions);
      const version = known.at(-Math.max(1, needs.gpus));
      if (!version) return { ...leaveOut({ ...needs, [key]: null }, field, `Allow any ${name}`), loss: 1 };
      const value = formatVersion(version);
      return { needs: { ...needs, [key]: value }, loss: 0, ...flag(field, value, `Accept ${name} ${value}`) };
    },
  };
}

function less(
  needs: JobNeeds,
  key: 'memoryMib' | 'diskMib',
  thereMib: number,
  field: string,
  name: string,
): (Change & Loss) | null {
  const there = formatThere(Math.max(0, thereMib));
  const mib = parseSizeMib(there) ?? 0;
  if (mib < 16 || mib >= needs[key]) return null;
  return {
    needs: { ...needs, [key]: mib },
    loss: -mib,
    ...flag(field, compact(there), `Ask for ${there} of ${name}`),
  };
}

function leaveOut(needs: JobNeeds, field: string, words: string): Change & Loss {
  return { needs, loss: 1, field, value: null, words: `${words} (leave out --${dashed(field)}).` };
}

function flag(field: string, value: string, words: string): Pick<Change, 'field' | 'value' | 'words'> {
  const shown = /^[\w.%:/+-]+$/.test(value) ? value : `"${value}"`;
  return { field, value, words: `${words} (--${dashed(field)} ${shown}).` };
}

function dashed(field: string): string {
  return field.replaceAll('_', '-');
}

function compact(size: string): string {
  return size.replaceAll(' ', '');
}
