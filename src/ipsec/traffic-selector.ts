import ipaddr from 'ipaddr.js';

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

/** Ports 65535..0: "OPAQUE", only packets whose ports cannot be seen (RFC 7296 section 3.13.1, RFC 4301 section 4.4.1.1). */
export function isOpaque(selector: TrafficSelector): boolean {
  return selector.fromPort === 0xffff && selector.toPort === 0;
}

export function coversAllPorts(selector: TrafficSelector): boolean {
  return selector.fromPort === 0 && selector.toPort === 0xffff;
}

/** ICMP type and code as the one 16-bit "port" of a selector (RFC 4301 section 4.4.1.1). */
export function packIcmp(type: number, code: number): number {
  return (type << 8) | code;
}

/** Byte by byte, network order: negative, zero or positive. Both of one family. */
export function compareAddressBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Address in network order, 4 or 16 bytes. */
export function containsAddress(selector: TrafficSelector, address: Uint8Array): boolean {
  return (
    address.length === selector.from.length &&
    compareAddressBytes(selector.from, address) <= 0 &&
    compareAddressBytes(address, selector.to) <= 0
  );
}

/**
 * One side of a packet against one selector. `port` is undefined where the packet shows none (a later
 * fragment, a protocol without ports): then only selectors of any port or OPAQUE match.
 */
export function matchesSelector(
  selector: TrafficSelector,
  address: Uint8Array,
  protocol: number,
  port: number | undefined,
): boolean {
  if (!containsAddress(selector, address)) return false;
  if (selector.protocol !== 0 && selector.protocol !== protocol) return false;
  if (coversAllPorts(selector)) return true;
  if (port === undefined) return isOpaque(selector);
  return selector.fromPort <= port && port <= selector.toPort;
}

/** A selector as text and numbers, as VICI and configuration carry it. */
export interface SelectorFields {
  readonly from: string;
  readonly to: string;
  readonly protocol?: number;
  readonly fromPort?: number;
  readonly toPort?: number;
}

function parseAddress(text: string): Uint8Array | undefined {
  const isPlain = ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(':') && !text.includes('%'));
  if (!isPlain || !ipaddr.isValid(text)) return undefined;
  return Uint8Array.from(ipaddr.parse(text).toByteArray());
}

const isUint = (value: number, max: number) => Number.isInteger(value) && value >= 0 && value <= max;

/** Checks and builds; undefined if an address, the range, protocol or ports are no selector. */
export function trafficSelectorOf(fields: SelectorFields): TrafficSelector | undefined {
  const from = parseAddress(fields.from);
  // A single address, as most are, is kept once.
  const to = fields.to === fields.from ? from : parseAddress(fields.to);
  const { protocol = 0, fromPort = 0, toPort = 0xffff } = fields;
  if (from === undefined || to === undefined || from.length !== to.length) return undefined;
  if (compareAddressBytes(from, to) > 0) return undefined;
  if (!isUint(protocol, 255) || !isUint(fromPort, 0xffff) || !isUint(toPort, 0xffff)) return undefined;
  if (fromPort > toPort && !(fromPort === 0xffff && toPort === 0)) return undefined;
  return { family: from.length === 4 ? 4 : 6, from, to, protocol, fromPort, toPort };
}

/** `bits` leading bits of `address`, the rest all zeros (`fill` 0) or all ones (`fill` 255). */
function fillHostBits(address: Uint8Array, bits: number, fill: 0 | 255): Uint8Array {
  return address.map((byte, i) => {
    const kept = Math.min(8, Math.max(0, bits - i * 8));
    const mask = (0xff00 >> kept) & 0xff;
    return (byte & mask) | (fill & ~mask & 0xff);
  });
}

const PROTOCOL_NAMES: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  'ipv6-icmp': 58,
  sctp: 132,
};

function parsePorts(text: string | undefined): readonly [number, number] | undefined {
  if (text === undefined || text === '%any') return [0, 0xffff];
  if (text === 'OPAQUE') return [0xffff, 0];
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  return [first, match[2] === undefined ? first : Number(match[2])];
}

/**
 * Text as swanctl prints and reads it: `ADDRESS`, `ADDRESS/BITS` or `FIRST..LAST`, then optionally
 * `[PROTOCOL]` or `[PROTOCOL/PORTS]`; the protocol by number or name, ports `80`, `1-1023` or `OPAQUE`.
 */
export function parseTrafficSelector(text: string): TrafficSelector | undefined {
  const match =
    /^([0-9a-fA-F.:]{2,45}?)(?:\/(\d{1,3})|\.\.([0-9a-fA-F.:]{2,45}))?(?:\[([a-z0-9-]{1,12})(?:\/([0-9A-Z%a-z-]{1,12}))?\])?$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, firstText = '', bitsText, lastText, protocolText, portText] = match;
  const first = parseAddress(firstText);
  const ports = parsePorts(portText);
  if (first === undefined || ports === undefined) return undefined;
  const bits = bitsText === undefined ? first.length * 8 : Number(bitsText);
  if (bits > first.length * 8) return undefined;
  const from = lastText === undefined ? formatAddressBytes(fillHostBits(first, bits, 0)) : firstText;
  const to = lastText ?? formatAddressBytes(fillHostBits(first, bits, 255));
  const protocol = protocolText === undefined ? 0 : (PROTOCOL_NAMES[protocolText] ?? Number(protocolText));
  return trafficSelectorOf({ from, to, protocol, fromPort: ports[0], toPort: ports[1] });
}

/** Network order to text. */
export function formatAddressBytes(address: Uint8Array): string {
  return ipaddr.fromByteArray([...address]).toString();
}

/** The prefix length if the range is exactly a subnet. */
function prefixBits(selector: TrafficSelector): number | undefined {
  for (let bits = 0; bits <= selector.from.length * 8; bits++) {
    const isFirst = compareAddressBytes(fillHostBits(selector.from, bits, 0), selector.from) === 0;
    if (isFirst && compareAddressBytes(fillHostBits(selector.from, bits, 255), selector.to) === 0)
      return bits;
  }
  return undefined;
}

/** The text form that `parseTrafficSelector` reads. */
export function formatTrafficSelector(selector: TrafficSelector): string {
  const bits = prefixBits(selector);
  const range =
    bits === undefined
      ? `${formatAddressBytes(selector.from)}..${formatAddressBytes(selector.to)}`
      : `${formatAddressBytes(selector.from)}/${bits}`;
  if (selector.protocol === 0 && coversAllPorts(selector)) return range;
  const name =
    Object.entries(PROTOCOL_NAMES).find(([, number]) => number === selector.protocol)?.[0] ??
    String(selector.protocol);
  if (coversAllPorts(selector)) return `${range}[${name}]`;
  if (isOpaque(selector)) return `${range}[${name}/OPAQUE]`;
  const ports =
    selector.fromPort === selector.toPort
      ? String(selector.fromPort)
      : `${selector.fromPort}-${selector.toPort}`;
  return `${range}[${name}/${ports}]`;
}

/** True if both say the same. */
export function equalSelectors(a: TrafficSelector, b: TrafficSelector): boolean {
  return (
    a.family === b.family &&
    compareAddressBytes(a.from, b.from) === 0 &&
    compareAddressBytes(a.to, b.to) === 0 &&
    a.protocol === b.protocol &&
    a.fromPort === b.fromPort &&
    a.toPort === b.toPort
  );
}
