/**
 * One line of a CSV file (RFC 4180), with its end. What a spreadsheet would take for a formula (`=`, `+`, `-`, `@`, tab
 * or return in front) gets an apostrophe before it, unless it is a plain number: names of jobs and machines and
 * references are other people's text.
 */
export function csvLine(fields: readonly string[]): string {
  return `${fields.map(csvField).join(',')}\r\n`;
}

function csvField(text: string): string {
  const isNumber = /^-?\d+(\.\d+)?$/.test(text);
  const harmless = /^\s*[=+\-@\t\r]/.test(text) && !isNumber ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
