/** Where a peer is, for people: `192.0.2.101:4500`, `[2001:db8::1]:4500`, without a port where ESP is native. */
export function peerText(address: string, port: number): string {
  if (port === 0) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
