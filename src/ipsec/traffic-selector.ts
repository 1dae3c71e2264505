/** Traffic selector (RFC 7296 section 3.13.1), one address range; IPv4 as IPv6-mapped is not used. */
export interface TrafficSelector {
  readonly family: 4 | 6;
  /** First and last address, network byte order, 4 or 16 bytes. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** IP protocol; 0 = any. */
  readonly protocol: number;
  /** Inclusive, host order; 0..65535 = any. For ICMP: type << 8 | code. */
  readonly fromPort: number;
  readonly toPort: number;
}
