// Controls, and the marks that turn reading direction around, which could dress one name up as another.
const unprintable = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text of others (names, file paths, messages) made safe to print inside a line of ours: each control
 * character becomes a replacement mark, so that nothing can move the cursor or hide.
 */
export function plainText(text: string): string {
  return text.replace(unprintable, '\ufffd');
}
