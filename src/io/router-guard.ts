import { AGENT_MARK, ROUTER_GUARD_TABLE, RUNS_PORT } from './guard-constants.ts';
import { agentsOwn, bothFamilies, type LinkPlace, linkRules } from './guard-rules.ts';
import { addressSets, hasTable, installTable, type NftCounters, readCounters, removeTable } from './nft.ts';

export interface RouterGuardOptions {
  /** Addresses as text, of both families. */
  readonly dvipas: readonly string[];
  /** Where ESP arrives; may contain a DVIPA, and may be the host's ordinary address. */
  readonly endpoints: readonly string[];
  /** DVIPAs whose answers in clear leave here (`return: router`). */
  readonly clear?: readonly string[];
  /** Where the trusted link is heard. */
  readonly trustedLink?: LinkPlace;
  readonly mark?: number;
}

/**
 * Keeps the routing host's own stack away from what the agent handles. The capture sees packets before
 * these rules do. To an endpoint only ESP is stopped (it may be the host's ordinary address); to a DVIPA all but
 * IKE; from a DVIPA only IKE and the agent's own marked packets leave: ESP, and answers in clear where they leave here. Charon's IKE is never touched, nor is
 * neighbour discovery: this host owns the addresses. The trusted link is heard on the cluster interface only.
 *
 * It is state of the kernel, so it holds when the agent is killed: no ICMP error tells a peer that its SA is
 * dead, and no service of this host answers on a DVIPA. `install` and `remove` may be repeated.
 */
export class RouterGuard {
  #options: RouterGuardOptions;

  constructor(options: RouterGuardOptions) {
    this.#options = options;
  }

  /** Other addresses, in one step. If that fails, the rules stay as they were. */
  async change(addresses: Pick<RouterGuardOptions, 'dvipas' | 'endpoints' | 'clear'>): Promise<void> {
    const before = this.#options;
    this.#options = { ...before, ...addresses };
    await this.install().catch((error: unknown) => {
      this.#options = before;
      throw error;
    });
  }

  async install(): Promise<void> {
    const { dvipas, endpoints, mark = AGENT_MARK, ...more } = this.#options;
    await installTable(ROUTER_GUARD_TABLE, routerGuardRules(dvipas, endpoints, mark, more));
  }

  async remove(): Promise<void> {
    await removeTable(ROUTER_GUARD_TABLE);
  }

  /** Whether the table is there: something else on the host may flush all rules. Install again if not. */
  isInstalled(): Promise<boolean> {
    return hasTable(ROUTER_GUARD_TABLE);
  }

  /** Packets per rule: `esp_in` are those that the capture handed to the agent. */
  counters(): Promise<NftCounters> {
    return readCounters(ROUTER_GUARD_TABLE);
  }
}

/**
 * The table's body. `@th,64,32` are the four bytes after the UDP header: the SPI, or the non-ESP marker
 * (RFC 3948 section 2.2); up to 9 bytes of UDP are a NAT keep-alive (section 2.3).
 * ICMPv6 133 to 137 is neighbour discovery (RFC 4861 section 4).
 *
 * ESP is dropped as early as the capture has seen it, before the kernel looks for a connection or a route (ADR 28); what comes in IPv4 fragments
 * when they are one packet again, in `input`.
 * IPv6 comes there in fragments (IPv4 is whole by then). The first one has the ports and decides, so later ones of UDP
 * may pass: without the first they become nothing.
 *
 * Runs of packets from the agent leave from a port of its own, since charon has 4500 (`raw-socket.ts`). `@th,0,16` is their source port as
 * well: in place of `udp sport` nftables would correct the checksum, which is made only when the kernel cuts the run.
 */
export function routerGuardRules(
  dvipas: readonly string[],
  endpoints: readonly string[],
  mark: number,
  { clear = [], trustedLink }: Pick<RouterGuardOptions, 'clear' | 'trustedLink'> = {},
): string {
  const link = linkRules(trustedLink);
  const espDrops = `ip daddr @esp_here meta l4proto esp counter name esp_in drop
    ip daddr @esp_here udp dport 4500 udp length > 12 @th,64,32 != 0 counter name esp_in drop`;
  return bothFamilies(`
  ${addressSets('dvipas', dvipas)}
  ${addressSets('clear_from', clear)}
  ${link.sets}
  ${addressSets('esp_here', [...endpoints, ...dvipas])}
  counter esp_in { }
  counter clear_in { }
  counter leak_out { }
  counter leak_forward { }

  chain early {
    type filter hook prerouting priority -300; policy accept;
    ip frag-off & 0x3fff != 0 return
    ${espDrops}
  }
  chain input {
    type filter hook input priority 0; policy accept;
    ${link.input}
    ip6 daddr @dvipas6 icmpv6 type 133-137 return
    ${espDrops}
    ip6 daddr @dvipas6 meta l4proto udp frag frag-off != 0 return
    ip daddr @dvipas udp dport 500 return
    ip daddr @dvipas udp dport 4500 udp length <= 9 return
    ip daddr @dvipas udp dport 4500 @th,64,32 0 return
    ip daddr @dvipas counter name clear_in drop
  }
  chain runs {
    type filter hook output priority -300; policy accept;
    meta mark ${mark} udp sport ${RUNS_PORT} @th,0,16 set 4500
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ip saddr @dvipas counter name leak_forward drop
    ip daddr @dvipas counter name leak_forward drop
  }
  chain leaving {
    ${agentsOwn(mark)}
    meta mark ${mark} ip saddr @clear_from return
    ip6 saddr @dvipas6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } return
    ip saddr @dvipas udp sport 500 return
    ip saddr @dvipas udp sport 4500 udp length <= 9 return
    ip saddr @dvipas udp sport 4500 @th,64,32 0 return
    ip saddr @dvipas counter name leak_out drop
  }
  chain output { type filter hook output priority 0; policy accept; jump leaving; }
  chain postrouting { type filter hook postrouting priority 300; policy accept; jump leaving; }`);
}
