import type { DropCounters } from '../base/verdict.ts';
import type { FastPathConfig } from '../config/index.ts';
import type { TrustedLink } from '../dataplane/ports.ts';
import { BatchLink, type BatchLinkOptions } from '../io/link-batch.ts';
import { DgramLink } from '../io/link-dgram.ts';
import type { Log } from '../observe/log.ts';
import type { LinkSnapshot } from '../observe/snapshots.ts';

export interface OpenLinkOptions {
  readonly config: Pick<FastPathConfig, 'link' | 'offloads'>;
  /** This host's address on the cluster network, the link's port, and what fits one packet there. */
  readonly address: string;
  readonly port: number;
  readonly mtu: number;
  readonly drops: DropCounters;
  readonly log: Log;
}

/** The trusted link as an agent has it. */
export interface OpenLink extends TrustedLink {
  /** Adds what got lost before this process saw it, since the last call. */
  countLosses(): Promise<void>;
  stats(): LinkSnapshot;
}

/**
 * Opens the trusted link as configured, and says in one line what it does; a switch that the kernel refuses, then or later, has a line of
 * its own. `auto` is `batch` where the kernel has the calls for it. Rejects with the error of `bind`.
 */
export async function openLink(options: OpenLinkOptions, batch = openBatchLink): Promise<OpenLink> {
  const { config, log } = options;
  const opened = config.link.driver === 'dgram' ? undefined : openBatch(options, batch);
  if (opened !== undefined) return opened;
  const link = await DgramLink.open(options);
  log.info('trusted link open', { driver: 'dgram' });
  return link;
}

function openBatchLink(options: BatchLinkOptions): OpenLink {
  return BatchLink.open(options);
}

/** Undefined: this kernel can not, and `auto` does without. */
function openBatch(options: OpenLinkOptions, open: typeof openBatchLink): OpenLink | undefined {
  const { config, log } = options;
  const { gso, gro } = config.offloads;
  try {
    const onOff = (offload: string, reason: string) =>
      log.warn('offload of the trusted link is off: the kernel refuses it', { offload, reason });
    const link = open({ ...options, gso, gro, onOff });
    const now = link.stats();
    log.info('trusted link open', { driver: now.driver, gso: now.gso, gro: now.gro });
    return link;
  } catch (error) {
    if (config.link.driver === 'batch' || (error as NodeJS.ErrnoException).code !== 'ENOSYS') throw error;
    log.info('trusted link goes without batches: the kernel refuses them', { reason: 'ENOSYS' });
    return undefined;
  }
}
