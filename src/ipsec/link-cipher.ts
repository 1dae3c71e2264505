import type { KeyMaterial } from '../base/key-material.ts';

/*
 * A packet sealed for the trusted link between two hosts of the cluster, where something that is not (or
 * no longer) ESP must cross. AES-256-GCM, a key per ordered pair of hosts and per coupling session:
 *
 * |                            Key id                             |   0   clear, authenticated
 * |                         Counter (64)                          |   4   clear, authenticated
 * |     Kind      |     Flags     |       Reserved, zero          |  12   encrypted from here
 * |                          SA group                             |  16
 * |                    Inner packet, then tag (16)                |  20
 *
 * nonce = key id | counter; additional data = epoch (4, not in the packet: it is the GRE key) | key id | counter.
 */
export const LINK_CLEAR_BYTES = 12;
export const LINK_INNER_HEADER_BYTES = 8;
export const LINK_TAG_BYTES = 16;
/** What sealing puts in front of the inner packet. */
export const LINK_HEADER_BYTES = LINK_CLEAR_BYTES + LINK_INNER_HEADER_BYTES;
export const LINK_KEY_BYTES = 32;

/** Where the packets of a vector are. */
export interface LinkPackets {
  readonly slab: Buffer;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
}

/** The part of a packet vector that the link seal works on; packets with `verdict[i] !== 0` are passed over. */
export interface LinkBatch extends LinkPackets {
  readonly count: number;
  readonly verdict: Uint8Array;
}

/** Key id, then the material: both from the coupling channel. The material stays the caller's, to wipe. */
export interface LinkKey {
  readonly keyId: number;
  readonly key: KeyMaterial;
}

/**
 * AES-256-GCM under one link key, on packets that have their headers (`LinkSealer`, `LinkOpener`: nothing else should call it, since
 * these number packets). A call does all packets `i` with `marked[i] === 1`. Two implementations: `LinkNodeCipher` and the addon
 * packet-crypto.
 */
export interface LinkCipher {
  readonly keyId: number;
  /** False once the key was wiped. Nothing is sealed or opened then: `link-authentication`. */
  readonly isUsable: boolean;
  /** From header to the room for the tag: encrypts in place and writes the tag. */
  seal(batch: LinkBatch, marked: Uint8Array, epoch: number): void;
  /** Decrypts in place what has the right tag. The rest stays as it is, and gets `link-authentication`. */
  open(batch: LinkBatch, marked: Uint8Array, epoch: number): void;
}

/** Makes the cipher of a key, for one direction. Throws if the key is none. */
export type NewLinkCipher = (key: LinkKey) => LinkCipher;

export function checkLinkKey({ keyId, key }: LinkKey): void {
  if (key.lengthBytes !== LINK_KEY_BYTES) throw new Error(`a link key has ${LINK_KEY_BYTES} bytes`);
  if (!Number.isInteger(keyId) || keyId < 0 || keyId > 0xffff_ffff)
    throw new Error('a link key id is a uint32');
}
