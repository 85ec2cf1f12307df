import type { DisputeBlame, DisputeReason } from '@computefabric/protocol/dispute';

/** What a renter says was wrong, in the order of the form. */
export const disputeReasonWords: Record<DisputeReason, string> = {
  'wrong-result': 'The result is wrong',
  'damaged-result': 'A result file is damaged',
  'machine-failed': 'The machine failed',
  'too-slow': 'The machine was too slow',
  'wrong-bill': 'The bill is wrong',
  other: 'Something else',
};

/** Who pays what is given back. */
export const disputeBlameWords: Record<DisputeBlame, string> = {
  provider: 'The owner of the machine pays it.',
  platform: 'The market pays it.',
  nobody: '',
};
