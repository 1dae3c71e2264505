/** IPv4 addresses as host numbers (192.0.2.1 = 0xc0000201): how the fast path keeps them. */

/** Text to number: exactly four decimal parts without leading zeros (inet_pton form); undefined if not. */
export function parseIpv4Address(text: string): number | undefined {
  if (!/^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(text)) return undefined;
  let address = 0;
  for (const part of text.split('.')) {
    const byte = Number(part);
    if (byte > 255) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

/** Number to text. */
export function formatIpv4Address(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** One host's address: not of "this network", loopback, multicast, reserved or broadcast (RFC 6890). */
export function isUnicastIpv4Address(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
