import type { KeyMaterial } from '../base/key-material.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** Security Parameters Index (RFC 4303 section 2.1), host number; printed as 8 hex digits. */
export type Spi = number & { readonly brand: 'Spi' };

/** The plugin's name for one SA: instance id and running number, `<16 hex>:<decimal>`. Never reused. */
export type SaId = string & { readonly brand: 'SaId' };

export type SaDirection = 'in' | 'out';

/** Limits of one unit; 0 = no limit. `soft` asks for a rekey, `hard` blocks. */
export interface LifetimeLimit {
  readonly soft: number;
  readonly hard: number;
}

/** Outer addresses in packet direction, ports of ESP-in-UDP (RFC 3948; 0 without encapsulation). */
export interface OuterAddresses {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** One ESP SA as charon negotiated it. `inbound` is towards the DVIPA. */
export interface SecurityAssociation {
  readonly id: SaId;
  readonly spi: Spi;
  readonly direction: SaDirection;
  readonly mode: 'tunnel' | 'transport';
  /** charon's number of the traffic selectors; two peers with equal ones have the same. Stays the same over rekeys. */
  readonly reqid: number;
  /** The plugin's number of the SA group: SAs of one peer with one reqid, over rekeys and moves of the peer. */
  readonly group: number;
  readonly outer: OuterAddresses;
  readonly hasUdpEncapsulation: boolean;
  readonly hasEsn: boolean;
  /** Packets; 0 = replay check off (RFC 4303 section 3.4.3). */
  readonly replayWindowPackets: number;
  readonly encryption: {
    /** IKEv2 transform id (type 1), e.g. 20 = AES-GCM-16. */
    readonly transform: number;
    /** Key followed by the salt, where the algorithm has one (RFC 4106 section 8.1). */
    readonly key: KeyMaterial;
  };
  /** Absent with a combined-mode algorithm. `transform` is the IKEv2 transform id (type 3). */
  readonly integrity?: { readonly transform: number; readonly key: KeyMaterial };
  /** In packet direction. */
  readonly sourceSelectors: readonly TrafficSelector[];
  readonly destinationSelectors: readonly TrafficSelector[];
  readonly lifetime: {
    readonly bytes: LifetimeLimit;
    readonly packets: LifetimeLimit;
    readonly seconds: LifetimeLimit;
  };
  /**
   * Outbound in tunnel mode: inner packets are padded to so many bytes, at most to what fits the path (TFC, RFC 4303 section 2.7). 0: not;
   * 0xffff_ffff: always to what fits.
   */
  readonly tfcBytes: number;
  readonly copy: { readonly df: boolean; readonly ecn: boolean; readonly dscp: boolean };
  /** The DVIPA on our side of the traffic selectors. */
  readonly dvipa: string;
}

/** An outbound policy (SPD entry): what matches is sealed with the SA that charon switched to. */
export interface OutboundPolicy {
  /** Selectors and group in one string; a switch of SA replaces the policy of the same key. */
  readonly key: string;
  readonly source: TrafficSelector;
  readonly destination: TrafficSelector;
  readonly reqid: number;
  /** SA group; 0: no SA (a trap). */
  readonly group: number;
  /** charon's number: the smaller, the more specific. */
  readonly priority: number;
  /** The SA in use now (feature KERNEL_POLICY_SPI); undefined: a trap, drop and count. */
  readonly spi: Spi | undefined;
  readonly peer: string;
}

export function formatSpi(spi: number): string {
  return spi.toString(16).padStart(8, '0');
}

/** Wipes every key of the SA; it can neither open nor seal afterwards. */
export function wipeKeys(sa: SecurityAssociation): void {
  sa.encryption.key.wipe();
  sa.integrity?.key.wipe();
}
