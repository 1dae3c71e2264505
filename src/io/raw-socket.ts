import { getSystemErrorName } from 'node:util';
import type { PacketSink } from '../dataplane/ports.ts';
import { NAT_TRAVERSAL_PORT } from '../packet/esp-header.ts';
import { Endpoint } from './endpoint.ts';
import { type NativeHandle, packetIo } from './native.ts';

const SEND_BUFFER_BYTES = 8 * 1024 * 1024;

export interface RawSocketOptions {
  /** SO_MARK of every packet, by which the guards and policy routing know it. */
  readonly mark: number;
  /** Hand runs of packets to the kernel as one message each (`offloads.gso`); true unless told. */
  readonly gso?: boolean;
  /**
   * Port that runs leave from, where another program has 4500 for itself (charon): the host's rules must put 4500 in its place
   * (`router-guard.ts`). 4500 unless told.
   */
  readonly runsFrom?: number;
}

/** Why packets leave singly that could leave as runs: the kernel refused a run (`run`) or a socket for it (`socket`), with an errno's name. */
export interface RunTrouble {
  readonly refused: 'run' | 'socket';
  readonly error: string;
}

/** Totals since the socket was opened, and how many sockets of sources there are now. */
export interface RunStats {
  readonly runs: number;
  readonly packets: number;
  readonly sources: number;
}

/** Totals since the socket was opened. */
export interface SendingStats {
  readonly packets: number;
  readonly runs: number;
  readonly packetsInRuns: number;
}

/**
 * Sends IPv4 and IPv6 packets as they are, header included, whatever their source address; packets of both may be in one
 * vector, and those to one address leave in its order. The kernel fills in the checksum and the total length of IPv4, and an
 * identification that is 0; of IPv6 nothing, so a payload length that is wrong is refused; a UDP
 * checksum over IPv6 that is not there (0) is filled in here, or in a run by the kernel. It never fragments, and counts
 * the MTU of the device only (`too-big`): a path MTU follows from authenticated packets, not from any ICMP. Fragments that
 * are made here leave as they are.
 *
 * Runs of ESP in UDP, alike in all but their payload, leave as one message each, which the kernel cuts (UDP_SEGMENT): the same
 * packets, but over IPv4 with a UDP checksum (RFC 3948 section 2.1 would rather have none, and receivers must take both). They come from
 * sockets at the packets' source address that hear nothing (docs/adr/0029). DF must be set: without it there are no runs.
 *
 * Without IPv6 in the kernel, IPv6 packets are refused one by one.
 */
export class RawSocket extends Endpoint implements PacketSink {
  readonly #handle: NativeHandle;
  readonly #counters = new Float64Array(5);
  readonly #told = new Set<RunTrouble['refused']>();

  private constructor(handle: NativeHandle) {
    super(handle);
    this.#handle = handle;
  }

  static open({ mark, gso = true, runsFrom = NAT_TRAVERSAL_PORT }: RawSocketOptions): RawSocket {
    return new RawSocket(packetIo().rawOpen(mark, SEND_BUFFER_BYTES, gso ? NAT_TRAVERSAL_PORT : 0, runsFrom));
  }

  runs(): RunStats {
    const [runs, packets, sources] = this.#readRuns();
    return { runs, packets, sources };
  }

  /** Packets that went out, and how many of them in runs. */
  sending(): SendingStats {
    const { runs, packets: packetsInRuns } = this.runs();
    return { packets: this.stats().sent, runs, packetsInRuns };
  }

  /**
   * To be called every few seconds: closes the sockets of sources that no run left from since the last call (a tunnel endpoint that
   * is gone). Says what keeps runs from being sent, each thing once: after a `run` was refused none is tried again, a `socket` is.
   */
  tend(): RunTrouble | undefined {
    const [, , , runError, socketError] = this.#readRuns();
    packetIo().rawCloseIdle(this.#handle);
    return this.#tell('run', runError) ?? this.#tell('socket', socketError);
  }

  #tell(refused: RunTrouble['refused'], errno: number): RunTrouble | undefined {
    if (errno === 0 || this.#told.has(refused)) return undefined;
    this.#told.add(refused);
    return { refused, error: getSystemErrorName(-errno) };
  }

  #readRuns(): [number, number, number, number, number] {
    packetIo().rawRuns(this.#handle, this.#counters);
    return [...this.#counters] as [number, number, number, number, number];
  }
}
