import type { KeyMaterial } from '../../src/base/key-material.ts';
import type { Verdict } from '../../src/base/verdict.ts';
import { LinkNativeCipher } from '../../src/io/link-native-cipher.ts';
import type { LinkBatch, LinkPackets, NewLinkCipher } from '../../src/ipsec/link-cipher.ts';
import { LinkNodeCipher } from '../../src/ipsec/link-node-cipher.ts';
import { LinkHeaders, LinkOpener, LinkSealer } from '../../src/ipsec/link-seal.ts';
import { crewOf } from './packet-cryptos.ts';

export const newLinkNodeCipher: NewLinkCipher = (key) => new LinkNodeCipher(key);

export const LINK_CIPHERS: ReadonlyMap<string, NewLinkCipher> = new Map<string, NewLinkCipher>([
  ['link-node-cipher', newLinkNodeCipher],
  ['link-native-cipher with openssl', (key) => new LinkNativeCipher('openssl', key)],
  ['link-native-cipher with ipsec-mb', (key) => new LinkNativeCipher('ipsec-mb', key)],
  ['link-native-cipher with 2 workers of openssl', (key) => new LinkNativeCipher('openssl', key, crewOf(2))],
]);

/** What one sealed packet says besides the inner packet. */
export class LinkHeader {
  kind = 0;
  flags = 0;
  group = 0;
  counter = 0;
}

export function newSealer(keyId: number, key: KeyMaterial): LinkSealer {
  return new LinkSealer(new LinkNodeCipher({ keyId, key }));
}

export function newOpener(keyId: number, key: KeyMaterial): LinkOpener {
  const opener = new LinkOpener();
  opener.install(new LinkNodeCipher({ keyId, key }));
  return opener;
}

/** Packet `i` as a vector of its own, without a verdict. */
function only({ slab, offset, length }: LinkPackets, i: number): LinkBatch {
  const [o, l] = [offset.subarray(i, i + 1), length.subarray(i, i + 1)];
  return { count: 1, slab, offset: o, length: l, verdict: Uint8Array.of(0) };
}

/** Seals packet `i` and says what became of it; `header` gets the counter. */
export function sealOne(
  sealer: LinkSealer,
  packets: LinkPackets,
  i: number,
  header: LinkHeader,
  epoch: number,
): Verdict {
  const [batch, headers] = [only(packets, i), new LinkHeaders()];
  headers.begin(1);
  headers.mark(0, header.kind, header.flags, header.group);
  sealer.seal(batch, headers, epoch);
  header.counter = headers.counter[0] as number;
  return batch.verdict[0] as Verdict;
}

/** Opens packet `i` and says what became of it; `out` gets what it says besides. */
export function openOne(
  opener: LinkOpener,
  packets: LinkPackets,
  i: number,
  epoch: number,
  out = new LinkHeader(),
): Verdict {
  const [batch, headers] = [only(packets, i), new LinkHeaders()];
  opener.open(batch, epoch, headers);
  out.kind = headers.kind[0] as number;
  out.flags = headers.flags[0] as number;
  out.group = headers.group[0] as number;
  out.counter = headers.counter[0] as number;
  return batch.verdict[0] as Verdict;
}
