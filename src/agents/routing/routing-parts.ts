import type { DropCounters } from '../../base/verdict.ts';
import type { RouteConfig } from '../../config/index.ts';
import type { Crew } from '../../io/crew.ts';
import type { RawSocket } from '../../io/raw-socket.ts';
import type { OpenLink } from '../open-link.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { RoutingHost } from './routing-host.ts';
import type { Cluster } from './target-peers.ts';

export interface CharonState {
  isConnected: boolean;
  instance: string | undefined;
  version: string | undefined;
  /** Version of kernel-dvipa. */
  plugin: string | undefined;
}

/** What the admin commands of a routing host look at. */
export interface RoutingParts {
  readonly config: RouteConfig;
  readonly now: () => number;
  readonly epoch: () => number;
  readonly cluster: Cluster;
  readonly charon: CharonState;
  readonly rekeyer: Rekeyer;
  readonly host: RoutingHost;
  readonly drops: DropCounters;
  readonly link: Pick<OpenLink, 'stats'>;
  readonly crew?: Pick<Crew, 'stats'>;
  readonly raw: Pick<RawSocket, 'sending'>;
}
