import { FRAGMENT } from '../../src/ipsec/inner-columns.ts';
import { familyOf } from '../../src/packet/address.ts';
import { TestBatch } from './crypto-batch.ts';
import { addr } from './inner-packets.ts';

export interface InnerTest {
  readonly source: string;
  readonly destination: string;
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly fragment?: number;
}

/** The inner headers of one packet, as a batch of one. */
export function innerColumns(given: InnerTest): TestBatch {
  const batch = new TestBatch([Buffer.alloc(1)]);
  batch.innerSource.set(addr(given.source));
  batch.innerDestination.set(addr(given.destination));
  batch.family[0] = familyOf(batch.innerSource);
  batch.protocol[0] = given.protocol ?? 6;
  batch.sourcePort[0] = given.sourcePort ?? 0;
  batch.destinationPort[0] = given.destinationPort ?? 0;
  batch.fragment[0] = given.fragment ?? FRAGMENT.WHOLE;
  return batch;
}

/** The columns themselves, by name, to compare. */
export function columnsOf(batch: TestBatch) {
  const { family, innerSource, innerDestination, protocol, sourcePort, destinationPort, tcpFlags } = batch;
  const { fragment, fragmentId } = batch;
  const { quotedProtocol, quotedDestination, quotedSourcePort, quotedDestinationPort } = batch;
  return {
    family,
    innerSource,
    innerDestination,
    protocol,
    sourcePort,
    destinationPort,
    tcpFlags,
    fragment,
    fragmentId,
    quotedProtocol,
    quotedDestination,
    quotedSourcePort,
    quotedDestinationPort,
  };
}
