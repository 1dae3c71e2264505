import type { ExchangeEnds } from './exchange.ts';

/** What the worker in a peer's host is told to do, and what it answers: JSON files of a folder that both see. */
export type Job =
  /** Brings CHILD_SAs up, one after another. */
  | { readonly kind: 'initiate'; readonly children: readonly string[] }
  /** Moves files through each of them. */
  | {
      readonly kind: 'exchange';
      readonly label: string;
      readonly fileBytes: number;
      /** For each cell; 40 s unless said otherwise. */
      readonly timeoutMs?: number;
      readonly cells: readonly ExchangeEnds[];
    }
  /** Asks charon to rekey them; it happens later. */
  | { readonly kind: 'rekey'; readonly children: readonly string[] }
  | { readonly kind: 'list' }
  | { readonly kind: 'terminate'; readonly ike: string };

/** A fault for each child or cell in order, or null. */
export type Faults = readonly (string | null)[];

/** A CHILD_SA as charon lists it. */
export interface ListedChild {
  readonly name: string;
  readonly state: string;
  readonly mode: string;
  readonly isUdp: boolean;
  readonly isEsn: boolean;
  readonly encryption: string;
  readonly keyBits: number | undefined;
  readonly integrity: string | undefined;
  /** 8 hex digits. */
  readonly spiIn: string;
  readonly spiOut: string;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly localHost: string;
  readonly remoteHost: string;
}

export type Answer = { readonly faults: Faults } | { readonly children: readonly ListedChild[] };
