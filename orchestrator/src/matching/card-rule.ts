import { isVersionAtLeast, parseVersion, type Version } from '@computefabric/protocol/grammar/versions';
import { modelRule } from './gpu-model.ts';

/** What a job asks of each of its GPUs. */
export interface CardNeeds {
  gpuModels: readonly string[];
  minVramMib: number;
  maxVramMib: number | null;
  minComputeCapability: string | null;
  minDriver: string | null;
}

/** A card as its machine reported it. */
export interface Card {
  name: string;
  memoryMib: number;
  driverVersion: string | null;
  computeCapability: string | null;
}

/** One question about a card each, in the order in which they narrow the choice. */
export interface CardRule {
  isModel(card: Card): boolean;
  hasMemory(card: Card): boolean;
  hasCapability(card: Card): boolean;
  hasDriver(card: Card): boolean;
  /** All of them. */
  suits(card: Card): boolean;
}

const rules = new WeakMap<CardNeeds, CardRule>();

/** The questions of a job, read once for as long as its needs are kept. */
export function cardRule(needs: CardNeeds): CardRule {
  const known = rules.get(needs);
  if (known) return known;
  const made = makeRule(needs);
  rules.set(needs, made);
  return made;
}

function makeRule(needs: CardNeeds): CardRule {
  const { minVramMib } = needs;
  const mostVramMib = needs.maxVramMib ?? Number.POSITIVE_INFINITY;
  const model = needs.gpuModels.length > 0 ? modelRule(needs.gpuModels) : null;
  const capability = floorOf(needs.minComputeCapability);
  const driver = floorOf(needs.minDriver);
  const rule: CardRule = {
    isModel: (card) => model === null || model(card.name),
    hasMemory: (card) => card.memoryMib >= minVramMib && card.memoryMib <= mostVramMib,
    hasCapability: (card) => capability === null || isVersionAtLeast(card.computeCapability, capability),
    hasDriver: (card) => driver === null || isVersionAtLeast(card.driverVersion, driver),
    suits: (card) =>
      rule.hasMemory(card) && rule.isModel(card) && rule.hasCapability(card) && rule.hasDriver(card),
  };
  return rule;
}

/** A floor that cannot be read is one that nothing reaches. */
export function floorOf(version: string | null): Version | null {
  return version === null ? null : (parseVersion(version) ?? [Number.POSITIVE_INFINITY]);
}
