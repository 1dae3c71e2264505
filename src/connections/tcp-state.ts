/** Flags of the TCP header that matter here (RFC 9293 section 3.1). */
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

/** What a target knows of a connection from the segments it saw; not the kernel's state, but enough to route by. */
export const TCP_NONE = 0;
/** The peer sent a SYN; whether anybody listens is not known. */
export const TCP_OPENING = 1;
export const TCP_ESTABLISHED = 2;
/** One side sent FIN. */
export const TCP_PEER_CLOSED = 3;
export const TCP_LOCAL_CLOSED = 4;
/** Both did: TIME-WAIT on one side. */
export const TCP_CLOSED = 5;
export const TCP_RESET = 6;

export type TcpState = number;

/** Is there a connection that must be kept on its target? */
export function isOpen(state: TcpState): boolean {
  return state >= TCP_ESTABLISHED && state <= TCP_LOCAL_CLOSED;
}

/** A SYN without ACK: the first segment of a connection. */
export function isOpening(flags: number): boolean {
  return (flags & (SYN | ACK | RST)) === SYN;
}

/**
 * The state after one *authenticated* segment, either from the peer (`isInbound`) or from our own kernel. A
 * connection counts as open when our own kernel answers with anything but RST: then it has a socket,
 * whether we saw the handshake or not (after a restart of the agent). A RST that the kernel does not accept
 * (RFC 5961) is made good by its next segment.
 */
export function nextTcpState(state: TcpState, flags: number, isInbound: boolean): TcpState {
  if ((flags & RST) !== 0) return state === TCP_NONE ? TCP_NONE : TCP_RESET;
  const isOver = state === TCP_CLOSED || state === TCP_RESET;
  if (isInbound && (state === TCP_NONE || isOver)) return isOpening(flags) ? TCP_OPENING : state;
  if (!isInbound && state === TCP_CLOSED && (flags & SYN) === 0) return state; // last ACK, repeated FIN
  const open = isInbound || isOpen(state) ? state : TCP_ESTABLISHED;
  return (flags & FIN) === 0 ? open : afterFin(open, isInbound);
}

/** UDP: there is a pseudo-connection when our own host has answered, and until it is idle. */
export function nextUdpState(state: TcpState, isInbound: boolean): TcpState {
  return isInbound ? state : TCP_ESTABLISHED;
}

function afterFin(state: TcpState, isInbound: boolean): TcpState {
  const own = isInbound ? TCP_PEER_CLOSED : TCP_LOCAL_CLOSED;
  const other = isInbound ? TCP_LOCAL_CLOSED : TCP_PEER_CLOSED;
  if (state === other) return TCP_CLOSED;
  return state === TCP_ESTABLISHED ? own : state;
}
