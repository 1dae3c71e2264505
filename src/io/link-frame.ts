import { KEEP } from '../base/verdict.ts';
import { LINK_PROTOCOL } from '../dataplane/ports.ts';
import { encodeGreKeyed, encodeGreSequenced, type GreHeader, parseGre } from '../packet/gre.ts';

/** RFC 8086 section 8.2 assigns 4754 to GRE-in-UDP. */
export const LINK_PORT = 4754;

const PROTOCOLS: ReadonlySet<number> = new Set(Object.values(LINK_PROTOCOL));

/** Packets that a target opens are dispatches: numbered, so that both ends can settle what became of them. */
export function isDispatch(protocol: number): boolean {
  return protocol !== LINK_PROTOCOL.SEALED && protocol !== LINK_PROTOCOL.STAMP;
}

/** Writes the GRE header of one packet; returns its length. */
export function encodeLinkHeader(
  bytes: Buffer,
  at: number,
  protocol: number,
  epoch: number,
  dispatch: number,
): number {
  return isDispatch(protocol)
    ? encodeGreSequenced(bytes, at, protocol, epoch, dispatch)
    : encodeGreKeyed(bytes, at, protocol, epoch);
}

/** Reads it: false if a datagram is none of the link's, or has nothing inside. */
export function readLinkHeader(bytes: Buffer, at: number, length: number, gre: GreHeader): boolean {
  return (
    parseGre(bytes, at, length, gre) === KEEP &&
    gre.hasKey &&
    gre.hasSequence === isDispatch(gre.protocol) &&
    PROTOCOLS.has(gre.protocol) &&
    length > gre.headerBytes
  );
}
