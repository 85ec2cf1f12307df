import { checkHistory, rules } from './check-history.ts';
import { readHistory } from './history.ts';

// `npm run chaos:check -- FILE…`: judges histories that chaos runs have written, here or elsewhere.
const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('Say which history to check: npm run chaos:check -- FILE…');
  process.exit(2);
}
for (const file of files) {
  const lines = readHistory(file);
  const violations = checkHistory(lines);
  console.log(`${file}: ${lines.length} lines, ${violations.length} violations`);
  for (const rule of Object.keys(rules).filter((name): name is keyof typeof rules => name in rules)) {
    const broken = violations.filter((violation) => violation.rule === rule);
    console.log(`  ${broken.length === 0 ? 'ok  ' : 'FAIL'} ${rule}: ${rules[rule]}`);
    for (const { subject, detail } of broken.slice(0, 10)) console.log(`         ${subject}: ${detail}`);
    if (broken.length > 10) console.log(`         … and ${broken.length - 10} more`);
  }
  if (violations.length > 0) process.exitCode = 1;
}
