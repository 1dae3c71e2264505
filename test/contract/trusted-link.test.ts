import { DgramLink } from '../../src/io/link-dgram.ts';
import { trustedLinkContract } from './trusted-link.ts';

trustedLinkContract({ name: 'dgram', open: (options) => DgramLink.open(options) });
