/** Where the launcher tells people what it does, one sentence at a time. */
export type Log = (sentence: string) => void;
