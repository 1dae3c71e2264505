/** What charon's own log says about rekeys of CHILD_SAs. */
export interface RekeyCount {
  /** New CHILD_SAs that replaced old ones, whoever started it. */
  readonly rekeys: number;
  /**
   * Those that this charon started because it was told to: by `rekey` on its VICI socket or by an expire of its kernel
   * backend. With rekey_time = 0 nothing but counts tells it.
   */
  readonly fromCounts: number;
}

/**
 * Counts finished rekeys in a host's charon log (level 1): CREATE_CHILD_SA exchanges with N(REKEY_SA) after which charon
 * reports the new SA as established in both directions.
 */
export function countRekeys(log: string): RekeyCount {
  const count = (pattern: RegExp) => log.match(pattern)?.length ?? 0;
  const wasTold = /vici rekey CHILD_SA|creating rekey job for CHILD_SA/.test(log);
  const started = count(/generating CREATE_CHILD_SA request \d+ \[ N\(REKEY_SA\)/g);
  const answered = count(/parsed CREATE_CHILD_SA request \d+ \[ N\(REKEY_SA\)/g);
  const finished = count(/\] outbound CHILD_SA \S+ established/g);
  return {
    rekeys: Math.min(finished, started + answered),
    fromCounts: wasTold ? Math.min(started, finished) : 0,
  };
}
