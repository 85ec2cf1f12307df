export {};

declare global {
  /** Read by the library that adds style elements while a dialog is open (get-nonce). */
  var __webpack_nonce__: string | undefined;
}
