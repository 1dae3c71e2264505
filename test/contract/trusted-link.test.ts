import { BatchLink } from '../../src/io/link-batch.ts';
import { DgramLink } from '../../src/io/link-dgram.ts';
import { type LinkDriver, trustedLinkContract } from './trusted-link.ts';

const dgram: LinkDriver = { name: 'dgram', open: (options) => DgramLink.open(options) };

/** On loopback packets of any length fit. */
function batch(name: string, gso: boolean, gro: boolean): LinkDriver {
  return {
    name,
    open: async (options) => {
      const onOff = (offload: string, reason: string) => {
        throw new Error(`${offload} is off: ${reason}`);
      };
      return BatchLink.open({ ...options, mtu: 65_535, gso, gro, onOff });
    },
  };
}

trustedLinkContract(dgram);
trustedLinkContract(batch('batch', true, true));
trustedLinkContract(batch('batch without offloads', false, false));
trustedLinkContract(dgram, batch('batch', true, true));
trustedLinkContract(batch('batch', true, true), dgram);
