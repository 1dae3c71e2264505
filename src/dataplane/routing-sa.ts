import type { Targets } from '../connections/target-set.ts';
import type { GivenTraffic } from '../ipsec/given-traffic.ts';
import type { IcvSuspicion } from '../ipsec/icv-suspicion.ts';
import type { InboundOwners } from '../ipsec/inbound-owners.ts';
import type { TunnelCheck } from '../ipsec/tunnel-check.ts';
import type { ClearDvipa } from './clear-check.ts';
import type { FilterMode } from './inbound-filter.ts';
import type { InboundEntry } from './inbound-sad.ts';

/** Settings of a DVIPA on the routing host. */
export interface RoutedDvipa extends ClearDvipa {
  readonly filterMode: FilterMode;
}

/** An inbound SA on the routing host. */
export interface RoutingInboundSa extends InboundEntry {
  readonly owners: InboundOwners;
  readonly check: TunnelCheck;
  readonly dvipa: RoutedDvipa;
  /** Targets (by index) that acknowledged the SA and may be given its packets. */
  readonly serving: Targets;
  /** After a restart of this agent: windows of targets that may have used the SA are still missing. */
  isWaitingForWindows: boolean;
  /** Targets that do not serve it get its packets opened by this host. */
  readonly isFallbackReady: boolean;
  readonly suspicion: IcvSuspicion;
  /** What each target was given of it. */
  readonly given: GivenTraffic;
}
