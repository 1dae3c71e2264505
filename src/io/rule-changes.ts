import { type NativeHandle, packetIo } from './native.ts';

/** Families and groups of netlink (linux/netlink.h, nfnetlink.h, rtnetlink.h); a group's bit is 1 less than its number. */
const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;
const NFNLGRP_NFTABLES = 7;
const RTNLGRP_IPV4_RULE = 8;
const RTNLGRP_IPV6_RULE = 19;

/**
 * Hears that somebody, ourselves included, has changed nftables' rules or the policy rules of this network namespace. To look whether
 * ours are still there takes other programs, and starting one holds a busy agent up for tens of milliseconds.
 */
export class RuleChanges {
  readonly #handles: readonly NativeHandle[];

  private constructor(handles: readonly NativeHandle[]) {
    this.#handles = handles;
  }

  /** Throws if the kernel does not tell; it takes CAP_NET_ADMIN. */
  static open(): RuleChanges {
    const io = packetIo();
    const bits = (...groups: number[]) => groups.reduce((sum, group) => sum + 2 ** (group - 1), 0);
    const handles = [io.netlinkOpen(NETLINK_NETFILTER, bits(NFNLGRP_NFTABLES))];
    try {
      handles.push(io.netlinkOpen(NETLINK_ROUTE, bits(RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE)));
    } catch (error) {
      for (const handle of handles) io.close(handle);
      throw error;
    }
    return new RuleChanges(handles);
  }

  /** Since the last call, or since it was opened. News that the kernel could not hand over count as news. */
  takeNews(): boolean {
    const io = packetIo();
    return this.#handles.filter((handle) => io.netlinkHeard(handle)).length > 0;
  }

  close(): void {
    for (const handle of this.#handles) packetIo().close(handle);
  }
}
