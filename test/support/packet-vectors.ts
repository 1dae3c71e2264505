import { KeyedHash } from '../../src/connections/connection-key.ts';
import { type IpAddress, parseAddress } from '../../src/packet/address.ts';
import { fromHex, readVectors } from './vectors.ts';

interface Named {
  readonly it: string;
}
interface Message extends Named {
  readonly source: string;
  readonly destination: string;
  readonly hex: string;
}

/** Packets made by scapy (test/vectors/make-packet-vectors.py). */
export const packetVectors = readVectors('packets.json') as {
  readonly fragments: (Named & {
    readonly mtu: number;
    readonly identification: number;
    readonly whole: string;
    readonly parts: string[];
  })[];
  readonly chain: { readonly whole: string; readonly perFragmentBytes: number; readonly upperAt: number };
  readonly icmpv6: (Message & {
    readonly type: number;
    readonly code: number;
    readonly mtu: number;
    readonly hasQuote: boolean;
  })[];
  readonly quotes: (Message & {
    readonly protocol: number;
    readonly sourcePort: number;
    readonly destinationPort: number;
    readonly upperAt: number;
    readonly isLaterFragment?: boolean;
  })[];
  readonly moved: (Named & {
    readonly protocol: number;
    readonly from: [string, string];
    readonly to: [string, string];
    readonly before: string;
    readonly after: string;
  })[];
  readonly zeroSum: Message[];
  readonly mss: (Named & { readonly maximum: number; readonly before: string; readonly after: string })[];
};

/** The words of an address that the tests know to be one. */
export function words(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
}

export const testHash = new KeyedHash(fromHex('0706050403020100'));

/** A payload in which no two bytes of a fragment are mistaken for others. */
export function pattern(bytes: number, start = 0): Buffer {
  return Buffer.from(
    Uint8Array.from({ length: bytes }, (_, at) => (start + at) * 7 + Math.floor((start + at) / 251)),
  );
}
