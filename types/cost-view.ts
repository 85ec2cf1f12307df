/** What a cost display needs to tick by itself between two readings from the server. */
export interface CostReading {
  /** Cost up to the moment of the reading. */
  accruedMicros: bigint;
  /** Price of the whole job per hour; zero until a machine is found. */
  microsPerHour: bigint;
  /** Whether money moves right now. */
  billable: boolean;
  /** The most the job may cost; the display never goes past it. */
  capMicros: bigint | null;
}
