/** What a test card does. */
export interface TestCard {
  /** Its PaymentMethod's id at Stripe. */
  id: string;
  number: string;
  brand: string;
  /** The bank's refusal when the card is charged. */
  decline?: { code: string; declineCode?: string; message: string };
  /** It can be saved all the same. */
  savable?: true;
  /** Authentication: at each charge, or at the first use only (a saved one is free of it). */
  authentication?: 'always' | 'setup';
  /** Its holder claims the money back as soon as it is taken. */
  disputes?: string;
  /** A refund to it is accepted and fails afterwards. */
  refundFails?: true;
  refundPends?: true;
  /** The money is available at once instead of after days. */
  bypassesPending?: true;
}

const declined = (declineCode: string, message = 'Your card was declined.') => ({
  code: 'card_declined',
  declineCode,
  message,
});

/** Stripe's test cards, those that change what happens here. */
export const testCards: readonly TestCard[] = [
  { id: 'pm_card_visa', number: '4242424242424242', brand: 'visa' },
  { id: 'pm_card_mastercard', number: '5555555555554444', brand: 'mastercard' },
  { id: 'pm_card_bypassPending', number: '4000000000000077', brand: 'visa', bypassesPending: true },
  card('chargeDeclined', '4000000000000002', declined('generic_decline')),
  card(
    'chargeDeclinedInsufficientFunds',
    '4000000000009995',
    declined('insufficient_funds', 'Your card has insufficient funds.'),
  ),
  card('chargeDeclinedLostCard', '4000000000009987', declined('lost_card')),
  card('chargeDeclinedStolenCard', '4000000000009979', declined('stolen_card')),
  card('chargeDeclinedExpiredCard', '4000000000000069', {
    code: 'expired_card',
    message: 'Your card has expired.',
  }),
  card('chargeDeclinedIncorrectCvc', '4000000000000127', {
    code: 'incorrect_cvc',
    message: "Your card's security code is incorrect.",
  }),
  card('chargeDeclinedProcessingError', '4000000000000119', {
    code: 'processing_error',
    message: 'An error occurred while processing your card.',
  }),
  { ...card('chargeCustomerFail', '4000000000000341', declined('generic_decline')), savable: true },
  {
    id: 'pm_card_authenticationRequired',
    number: '4000002760003184',
    brand: 'visa',
    authentication: 'always',
  },
  {
    id: 'pm_card_authenticationRequiredOnSetup',
    number: '4000002500003155',
    brand: 'visa',
    authentication: 'setup',
  },
  { id: 'pm_card_createDispute', number: '4000000000000259', brand: 'visa', disputes: 'fraudulent' },
  {
    id: 'pm_card_createDisputeProductNotReceived',
    number: '4000000000002685',
    brand: 'visa',
    disputes: 'product_not_received',
  },
  { id: 'pm_card_pendingRefund', number: '4000000000007726', brand: 'visa', refundPends: true },
  { id: 'pm_card_refundFail', number: '4000000000005126', brand: 'visa', refundFails: true },
];

function card(name: string, number: string, decline: NonNullable<TestCard['decline']>): TestCard {
  return { id: `pm_card_${name}`, number, brand: 'visa', decline };
}

/** A test card by the id of its PaymentMethod or by its number. */
export function findTestCard(idOrNumber: string): TestCard | undefined {
  const wanted = idOrNumber.replaceAll(/\s/g, '');
  return testCards.find(({ id, number }) => id === wanted || number === wanted);
}
