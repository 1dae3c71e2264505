/** The link-layer header of a frame (IEEE 802.3): destination, source, EtherType. Addresses are text: `02:00:00:00:00:01`. */
export const ETHERNET_HEADER_BYTES = 14;

export const ETHERTYPE = { ARP: 0x0806, IPV6: 0x86dd } as const;

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** Undefined: not six bytes in hex. */
export function parseLinkAddress(text: string): Buffer | undefined {
  return /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(text)
    ? Buffer.from(text.replaceAll(':', ''), 'hex')
    : undefined;
}

export function formatLinkAddress(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function ethernetHeader(destination: Uint8Array, source: Uint8Array, etherType: number): Buffer {
  const header = Buffer.alloc(ETHERNET_HEADER_BYTES);
  header.set(destination.subarray(0, 6), 0);
  header.set(source.subarray(0, 6), 6);
  header.writeUInt16BE(etherType, 12);
  return header;
}
