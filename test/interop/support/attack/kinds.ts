/**
 * What the attacker sends, by kind. Each kind goes out under a DSCP of its own, which nobody looks at but the witness at the
 * routing host: so what arrived is known by kind and apart from the generator's own count. 0 is the client.
 */
export const KINDS = [
  /** Datagrams of the client as recorded, of the last seconds and from before the attack. */
  'replay-recent',
  'replay-old',
  /** The same from other ports and addresses, as a peer behind a NAT would come that has moved. */
  'replay-elsewhere',
  /** Recorded datagrams under another number: little ahead of the client, far ahead, and behind it. */
  'ahead-near',
  'ahead-far',
  'behind',
  /** Little ahead, and with bits of ciphertext flipped: to the peek a SYN, RST or FIN of another connection. */
  'ahead-flags',
  /** Bits of a fresh datagram flipped (number, ICV, ports and flags), sent at once: it races the original. */
  'race',
  /** ESP of no SA. */
  'unknown-spi',
  /** "Fragmentation needed" with a tiny MTU, about an SPI that was seen, and about one that is none. */
  'too-big-live',
  'too-big-dead',
  /** In clear to the DVIPA. */
  'clear',
  /** GRE in UDP to addresses on both networks of routing host and targets, as if a host of the cluster had sent it. */
  'gre',
  /** SYNs to the coupling port, as if a target had sent them. */
  'coupling-syn',
] as const;

export type Kind = (typeof KINDS)[number];

/** How many packets of a kind. */
export type Counts = Record<Kind, number>;

/** What the capture of the routing host is meant to see; the others are the business of its kernel. */
export const CAPTURED: readonly Kind[] = KINDS.filter((kind) => kind !== 'gre' && kind !== 'coupling-syn');

export function dscpOf(kind: Kind): number {
  return KINDS.indexOf(kind) + 1;
}

export function noCounts(): Counts {
  return Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Counts;
}

export function sumOf(counts: Counts, kinds: readonly Kind[] = KINDS): number {
  return kinds.reduce((sum, kind) => sum + counts[kind], 0);
}

/** Parts of the flood; `race` comes on top, as fresh datagrams come. */
export const SHARES: Partial<Counts> = {
  'replay-recent': 18,
  'replay-old': 6,
  'replay-elsewhere': 6,
  'ahead-near': 12,
  'ahead-far': 6,
  behind: 10,
  'ahead-flags': 20,
  'unknown-spi': 8,
  'too-big-live': 1,
  'too-big-dead': 2,
  clear: 5,
  gre: 4,
  'coupling-syn': 2,
};
