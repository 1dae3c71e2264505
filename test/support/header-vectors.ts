import { readVectors } from './vectors.ts';

export interface HeaderVector {
  readonly it: string;
  readonly hex: string;
  readonly [field: string]: string | number | boolean;
}

/** Headers made by scapy (test/vectors/make-header-vectors.py). */
export const headerVectors = readVectors('headers.json') as Record<
  'ipv4' | 'ipv6' | 'udp' | 'tcp' | 'icmp' | 'gre',
  HeaderVector[]
>;

/** The expected fields of a vector: all but its name, bytes and the addresses kept as text. */
export function fieldsOf(vector: HeaderVector): Record<string, string | number | boolean> {
  const { it: _it, hex: _hex, source: _source, destination: _destination, ...fields } = vector;
  return fields;
}
