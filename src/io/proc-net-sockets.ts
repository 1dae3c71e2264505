import { addressOfBytes, equalAddresses, type IpAddress, isIpv4 } from '../packet/address.ts';

/*
 * Rows of /proc/net/tcp, tcp6, udp and udp6 (net/ipv4/tcp_ipv4.c `get_tcp4_sock`, `tcp_seq_show` and their likes): number, local and
 * remote address, state, then columns that do not matter here.
 */

/** States, as the kernel numbers them (include/net/tcp_states.h). A bound UDP socket that is not connected is in the second. */
export const SOCKET_LISTENS = 0x0a;
export const SOCKET_UNCONNECTED = 0x07;

/** A row has 150 bytes (IPv4) or about 180; anything far longer is none. */
export const SOCKET_ROW_MAX_CHARACTERS = 512;

export interface SocketRow {
  readonly address: IpAddress;
  readonly port: number;
  readonly state: number;
}

const ROW =
  /^ *\d{1,10}: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) (?:[0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4} ([0-9A-F]{2}) /;

/** One row, without its end of line; undefined for what is no row. */
export function parseSocketRow(line: string): SocketRow | undefined {
  if (line.length > SOCKET_ROW_MAX_CHARACTERS) return undefined;
  const [, address, port, state] = ROW.exec(line) ?? [];
  if (address === undefined || port === undefined || state === undefined) return undefined;
  return {
    address: addressOfHex(address),
    port: Number.parseInt(port, 16),
    state: Number.parseInt(state, 16),
  };
}

/**
 * Does a socket with this local address receive packets to `dvipa`? The wildcard of IPv6 counts for IPv4 too, as it does unless
 * IPV6_V6ONLY is set: the tables do not show that option.
 */
export function receives(local: IpAddress, dvipa: IpAddress): boolean {
  if (equalAddresses(local, 0, dvipa, 0)) return true;
  if (local[3] !== 0 || local[1] !== 0 || local[0] !== 0) return false;
  return isIpv4(local) ? isIpv4(dvipa) : local[2] === 0;
}

/** Each 32-bit word is printed as a number of this machine, whose bytes in memory are the address in network order. */
function addressOfHex(hex: string): IpAddress {
  const words = new Uint32Array(hex.length / 8);
  for (let i = 0; i < words.length; i++) words[i] = Number.parseInt(hex.slice(i * 8, i * 8 + 8), 16);
  return addressOfBytes(new Uint8Array(words.buffer));
}
