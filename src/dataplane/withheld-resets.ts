import { KEEP, type Verdict, verdictOf } from '../base/verdict.ts';
import { newConnectionKey } from '../connections/connection-key.ts';
import type { FlowTracker } from '../connections/flow-tracker.ts';
import { RST, TCP_NONE } from '../connections/tcp-state.ts';
import { ADDRESS_WORDS, type IpAddress } from '../packet/address.ts';
import { AddressMap } from '../packet/address-map.ts';
import { readFlowKey } from './flow-key.ts';
import type { PacketVector } from './vector.ts';

const RESET_WITHHELD = verdictOf('reset-withheld');

/**
 * While another target may have connections that the routing host does not know, their segments go by hash and may come here. This
 * host's kernel has no such socket and answers RST, which would end a healthy connection: that answer is withheld, and the peer sends
 * again. A RST of a connection that is known here, or in answer to a SYN, is the kernel's to send.
 */
export class WithheldResets {
  readonly #flows: Pick<FlowTracker, 'stateOf'>;
  readonly #complete = new AddressMap<boolean>();
  readonly #key = newConnectionKey();

  constructor(flows: Pick<FlowTracker, 'stateOf'>) {
    this.#flows = flows;
  }

  /** The routing host knows all connections of the DVIPA, or does not. */
  setComplete(dvipa: IpAddress, isComplete: boolean): void {
    this.#complete.set(dvipa, isComplete);
  }

  /** Nothing is known of any DVIPA: withholding is the safe guess. */
  forget(): void {
    this.#complete.clear();
  }

  /** Of packet `i` that the kernel sends to the peer of this SA group: may it leave? */
  check(vector: PacketVector, i: number, group: number): Verdict {
    if (((vector.tcpFlags[i] as number) & RST) === 0) return KEEP; // of anything but TCP there are no flags
    if (this.#complete.get(vector.innerSource, i * ADDRESS_WORDS) === true) return KEEP;
    const key = readFlowKey(this.#key, vector, i, false, group);
    return this.#flows.stateOf(key) === TCP_NONE ? RESET_WITHHELD : KEEP;
  }
}
