import { lookupEncryption, lookupIntegrity } from '../ipsec/algorithms.ts';
import type { SecurityAssociation } from '../ipsec/sa.ts';

/** As `swanctl --list-sas` writes it: `AES_GCM_16-128`, `AES_CBC-256/HMAC_SHA2_256_128`, `CHACHA20_POLY1305`. */
export function algorithmName({ encryption, integrity }: SecurityAssociation): string {
  const row = lookupEncryption(encryption.transform);
  const name = written(row?.name ?? `ENCR ${encryption.transform}`);
  const bits = (encryption.key.lengthBytes - (row?.saltBytes ?? 0)) * 8;
  const encr = row?.keyBytes.length === 1 ? name : `${name}-${bits}`;
  if (integrity === undefined) return encr;
  return `${encr}/${written(lookupIntegrity(integrity.transform)?.name ?? `AUTH ${integrity.transform}`)}`;
}

function written(name: string): string {
  return name.replaceAll(/[ -]/g, '_');
}
