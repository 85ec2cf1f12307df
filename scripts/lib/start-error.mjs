/**
 * Why a start cannot go on, in words for the person at the terminal: shown without a stack trace.
 */
export class StartError extends Error {
  /**
   * @param {string} message One sentence, and the command that helps when there is one.
   * @param {string} [details] Such as the end of a log.
   */
  constructor(message, details = '') {
    super(message);
    this.details = details;
  }
}
