import { AUTH_HMAC_SHA2_256_128, ENCR_AES_CBC, ENCR_AES_GCM_16 } from '../ipsec/algorithms.ts';
import type { SecurityAssociation } from '../ipsec/sa.ts';

const SALT_BYTES = 4;

/** As `swanctl --list-sas` writes it: `AES_GCM_16-128`, `AES_CBC-256/HMAC_SHA2_256_128`. */
export function algorithmName({ encryption, integrity }: SecurityAssociation): string {
  const isGcm = encryption.transform === ENCR_AES_GCM_16;
  const bits = (encryption.key.lengthBytes - (isGcm ? SALT_BYTES : 0)) * 8;
  const name = isGcm ? 'AES_GCM_16' : encryption.transform === ENCR_AES_CBC ? 'AES_CBC' : 'ENCR';
  if (integrity === undefined) return `${name}-${bits}`;
  const auth = integrity.transform === AUTH_HMAC_SHA2_256_128 ? 'HMAC_SHA2_256_128' : 'AUTH';
  return `${name}-${bits}/${auth}`;
}
