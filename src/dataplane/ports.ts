import type { PacketVector } from './vector.ts';

/** Where packets come from: the outside capture, a TUN. */
export interface PacketSource {
  /** Called when packets may be waiting; the callee drains with `receive` until it returns 0. */
  onReadable(callback: () => void): void;
  /** Fills the vector from its current count on; returns how many were added. */
  receive(vector: PacketVector): number;
}

/** Where packets go: the raw socket, a TUN. One call per vector. The raw socket fills in a UDP checksum of 0 over IPv6. */
export interface PacketSink {
  /** Sends each packet with verdict 0 and marks those the kernel refused `send-failed`. Returns how many went out. */
  send(vector: PacketVector): number;
}

/**
 * The trusted link: GRE-in-UDP (RFC 8086, port 4754) between cluster hosts. The link adds and strips
 * the GRE header; what is inside crosses unchanged. Drivers: `batch` (many packets a system call) and `dgram`.
 */
export interface TrustedLink {
  /** Sends packets with verdict 0 and `target[i] === peer`, each as its `linkProtocol`; `epoch` goes into the GRE key. */
  send(vector: PacketVector, peer: number, epoch: number): number;
  /** The address of peer number `peer` (small integer); undefined closes it. */
  setPeer(peer: number, address: string | undefined): void;
  /**
   * Arrivals, already checked for form, source (`link-stranger`) and counted if refused. `packets` hold
   * the GRE payload; all of one call share peer, protocol and epoch. The vector is valid during the call only. Dispatches may stand
   * close together in it (`PacketVector.over`): a target opens them where they are, and writes nothing around them.
   */
  onReceive(callback: (packets: PacketVector, peer: number, protocol: number, epoch: number) => void): void;
  close(): Promise<void>;
}

/** GRE protocol types on the trusted link (RFC 2784 section 2.4 uses EtherTypes). */
export const LINK_PROTOCOL = {
  /** The outer datagram as received from the peer (put together, if it came in fragments). */
  OUTER_IPV4: 0x0800,
  OUTER_IPV6: 0x86dd,
  /**
   * The same, of either family, behind the high half of its extended sequence number (`extended-dispatch.ts`): the other local
   * experimental EtherType.
   */
  OUTER_EXTENDED: 0x88b6,
  /** A sealed link packet (`link-seal.ts`): local experimental EtherType (IEEE 802). */
  SEALED: 0x88b5,
  /**
   * A packet that the routing host shall stamp (`stamp-packet.ts`): the OUI-extended EtherType, the experimental ones being used up.
   * The link is the cluster's own, so nobody else reads it.
   */
  STAMP: 0x88b7,
} as const;
