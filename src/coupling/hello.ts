import { z } from 'zod';
import { check } from './envelope.ts';
import { CouplingError } from './errors.ts';
import { COUPLING_VERSION } from './records.ts';

/** What every version of `hello` has, whatever else it may have. */
const common = z.looseObject({ version: z.int(), role: z.string() });

/**
 * Reads the first record: the version first, for a later one may look different; then the role, then all of
 * it; then the host, which has to be the one that the certificate names. Throws `CouplingError`:
 * `coupling-version`, `coupling-role`, `coupling-malformed`.
 */
export function readHello<H extends { readonly host: string }>(
  schema: z.ZodType<H>,
  body: unknown,
  expected: { readonly role: string; readonly host: string },
): H {
  const { version, role } = check(common, body, 'hello');
  if (version !== COUPLING_VERSION) throw new CouplingError('coupling-version', `version ${version}`);
  if (role !== expected.role)
    throw new CouplingError('coupling-role', `hello is not of role ${expected.role}`);
  const hello = check(schema, body, 'hello');
  if (hello.host !== expected.host) {
    throw new CouplingError(
      'coupling-role',
      `hello of ${hello.host} with the certificate of ${expected.host}`,
    );
  }
  return hello;
}
