import type { KeyMaterial } from '../../base/key-material.ts';

/**
 * What the charon plugin `kernel-dvipa` says, in neutral types: addresses as text, numbers as numbers, keys as
 * KeyMaterial. Whoever receives a PluginSa owns its keys and wipes them.
 */

/** A traffic selector: an address range with protocol (0 = any) and ports (0..65535 = any). */
export interface PluginSelector {
  readonly family: 4 | 6;
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly fromPort: number;
  readonly toPort: number;
}

/** Limits of one unit; 0 = none. */
export interface PluginLimit {
  readonly soft: number;
  readonly hard: number;
}

export type PluginDirection = 'in' | 'out';

/** An SA as charon asked the plugin to install it, without keys. `in` is towards the DVIPA. */
export interface PluginSaUpdate {
  /** The plugin's running number, decimal; unique within one instance. */
  readonly id: string;
  /** Host reading order. */
  readonly spi: number;
  readonly direction: PluginDirection;
  /** Outer addresses and UDP ports, in packet direction; ports 0 without encapsulation. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** charon's number: the same for all SAs with the same selectors, also of several peers. */
  readonly reqid: number;
  /**
   * Running number, from 1, of the SAs of one peer with this reqid, in both directions and over rekeys. It stays when the peer
   * moves; never used again in one instance.
   */
  readonly group: number;
  readonly mode: 'tunnel' | 'transport';
  readonly hasUdpEncapsulation: boolean;
  readonly hasEsn: boolean;
  readonly replayWindowPackets: number;
  /** We initiated the exchange that made this SA. */
  readonly isInitiator: boolean;
  /** charon completes an SPI that it had from `get_spi`. */
  readonly isUpdate: boolean;
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: 'out' | 'in' | 'yes' | 'no';
  /** TFC padding, in bytes of the inner packet; 0: none, 0xffff_ffff: to what fits the path. */
  readonly tfcBytes: number;
  /** IKEv2 transform ids: type 1, and type 3 (0 = none). */
  readonly encryptionTransform: number;
  readonly integrityTransform: number;
  readonly sourceSelectors: readonly PluginSelector[];
  readonly destinationSelectors: readonly PluginSelector[];
  readonly seconds: PluginLimit;
  readonly bytes: PluginLimit;
  readonly packets: PluginLimit;
  /** Since installation. */
  readonly ageMs: number;
  readonly dvipa: string;
  /** What the agent last put for this SA. A copy. */
  readonly state: Buffer | undefined;
}

export interface PluginSa extends PluginSaUpdate {
  /** Key followed by the salt, where the algorithm has one. */
  readonly encryptionKey: KeyMaterial;
  /** Undefined without an integrity algorithm. */
  readonly integrityKey: KeyMaterial | undefined;
}

export interface PluginPolicy {
  readonly id: string;
  /** Direction, selectors and group in one string; the same key again replaces the policy. */
  readonly key: string;
  readonly direction: 'in' | 'out' | 'fwd';
  readonly sourceSelector: PluginSelector;
  readonly destinationSelector: PluginSelector;
  /** Outer addresses. */
  readonly source: string;
  readonly destination: string;
  readonly reqid: number;
  /** That of its SA; 0: it has none yet. */
  readonly group: number;
  readonly priority: number;
  /** The SA to use now; undefined: none yet. */
  readonly spi: number | undefined;
}

/** What a plugin instance knows at one moment. */
export interface PluginSnapshot {
  /** Names one life of charon, 16 hex digits. */
  readonly instance: string;
  /** Number of the last event that is contained. */
  readonly sequence: number;
  readonly sas: readonly PluginSa[];
  readonly policies: readonly PluginPolicy[];
  readonly dvipas: readonly string[];
  readonly endpoints: readonly string[];
  /** What the agent last put for each DVIPA. Copies. */
  readonly states: ReadonlyMap<string, Buffer>;
}

export type PluginChange =
  | { readonly type: 'sa-add'; readonly sa: PluginSa }
  | { readonly type: 'sa-update'; readonly sa: PluginSaUpdate }
  | {
      readonly type: 'sa-delete';
      readonly id: string;
      readonly spi: number;
      readonly direction: PluginDirection;
    }
  | { readonly type: 'policy-add'; readonly policy: PluginPolicy }
  | { readonly type: 'policy-delete'; readonly id: string; readonly key: string };

export const PLUGIN_EVENTS = ['sa-add', 'sa-update', 'sa-delete', 'policy-add', 'policy-delete'] as const;

/** Numbered events of one instance: `sequence` grows by one each. */
export interface PluginEvent {
  readonly instance: string;
  readonly sequence: number;
  readonly change: PluginChange;
}

/** Wipes the keys of what was received and is not used. */
export function wipePluginSa(sa: PluginSa): void {
  sa.encryptionKey.wipe();
  sa.integrityKey?.wipe();
}
