import { jobFileSchema } from '@computefabric/protocol/job-file/job-file';

interface Property {
  description?: string;
  examples?: (string | number)[];
  anyOf?: Property[];
  properties?: Record<string, Property>;
  enum?: string[];
}

/** Every key with its meaning and an example, from the same schema that reads the file. */
export function jobFileLines(): string[] {
  return [
    'A job as a file: "cfab submit" reads computefabric.yaml of the folder, "cfab submit -f FILE" another one.',
    '"cfab init" writes one to begin with. Flags win over the file.',
    '',
    ...linesOf(jobFileSchema() as Property, ''),
  ];
}

function linesOf({ properties = {} }: Property, indent: string): string[] {
  return Object.entries(properties).flatMap(([key, property]) => {
    const nested = property.anyOf?.find((form) => form.properties) ?? property;
    const example = exampleOf(property);
    const head = `${indent}${key}:${example === null ? '' : ` ${example}`}`;
    return [`${head.padEnd(28)}  ${property.description ?? ''}`.trimEnd(), ...linesOf(nested, `${indent}  `)];
  });
}

/** The longest form is the one that shows most. */
function exampleOf(property: Property): string | null {
  const examples = [property, ...(property.anyOf ?? [])].flatMap((form) => form.examples ?? form.enum ?? []);
  return examples.map(String).toSorted((a, b) => b.length - a.length)[0] ?? null;
}
