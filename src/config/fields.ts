import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/**
 * The kinds of values in our files. Every message says what was expected; what was found, and where,
 * is added by `check.ts`.
 */

/** A mapping with exactly these keys. An unknown key is reported with the ones that exist. */
export function object<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? `expected one of ${known}` : `expected a mapping with ${known}`,
  });
}

export function list<Item extends z.ZodType>(item: Item, what: string, max: number) {
  const error = `expected a list of 1 to ${max} ${what}`;
  return z.array(item, { error }).min(1, { error }).max(max, { error });
}

function text(pattern: RegExp, maxLength: number, what: string) {
  const error = `expected ${what}`;
  return z.string({ error }).max(maxLength, { error }).regex(pattern, { error });
}

export function oneOf<const Choice extends readonly [string, ...string[]]>(...choices: Choice) {
  return z.enum(choices, {
    error: choices.length === 1 ? `expected ${choices[0]}` : `expected one of ${choices.join(', ')}`,
  });
}

export function integer(min: number, max: number, what: string) {
  const error = `expected ${what} from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** Name of a cluster host, as in its certificate. */
export const hostName = text(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
  253,
  'a host name (letters a-z, digits, hyphens)',
);

/** IFNAMSIZ is 16 with the final zero. */
export const interfaceName = text(
  /^(?!\.{1,2}$)[A-Za-z0-9_.:@-]+$/,
  15,
  'the name of a network interface (at most 15 characters)',
);

/** Taken from the folder of the configuration file if relative; no control characters. */
export const filePath = text(/^[^\p{Cc}]+$/u, 4096, 'the path of a file');

/** `sun_path` holds 108 bytes with the final zero. */
export const socketPath = text(/^\/[^\p{Cc}]+$/u, 107, 'the absolute path of a socket (at most 107 bytes)');

export const port = integer(1, 65535, 'a port');

/** A unicast IPv4 address in its one canonical spelling. */
export const hostAddress = z
  .string({ error: 'expected an IPv4 address' })
  .refine(isUnicastIpv4, { error: 'expected the IPv4 address of one host (IPv6 is not supported yet)' });

function isUnicastIpv4(value: string): boolean {
  if (!ipaddr.IPv4.isValidFourPartDecimal(value)) return false;
  const address = ipaddr.IPv4.parse(value);
  // Each part as a plain decimal number: 010 would be octal elsewhere.
  if (address.toString() !== value) return false;
  return !['unspecified', 'broadcast', 'multicast', 'loopback'].includes(address.range());
}

/** `address/length` without bits right of the prefix; a lone address is /32. */
export const network = z.string({ error: 'expected an IPv4 network' }).transform((value, context) => {
  const error = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  const text = value.includes('/') ? value : `${value}/32`;
  const [address = '', length = ''] = text.split('/');
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) || !/^(\d|[12]\d|3[0-2])$/.test(length)) {
    return error('expected an IPv4 network such as 10.1.0.0/16');
  }
  const first = ipaddr.IPv4.networkAddressFromCIDR(text).toString();
  return first === address ? text : error(`expected a network without host bits: ${first}/${length}`);
});

/** Inclusive. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** `80`, `"80"` or `"1024-65535"`. */
export const portRange = z
  .union([z.string(), z.number()], { error: 'expected a port or a range such as 1024-65535' })
  .transform((value, context): PortRange => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value));
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    if (match === null || from > to || to > 65535) {
      context.addIssue({ code: 'custom', message: 'expected a port or a range such as 1024-65535' });
      return z.NEVER;
    }
    return { from, to };
  });
