/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * intel-ipsec-mb: an option at build time (its header) and at run time (its
 * library, and a CPU that it is fast on).
 */

#ifndef PACKET_CRYPTO_MB_H_
#define PACKET_CRYPTO_MB_H_

#include "crypto.h"

/** NULL if intel-ipsec-mb can be used, else what is missing, in a few words */
const char *mb_missing(void);

/** Its version; only if nothing is missing */
const char *mb_version(void);

/** AES-GCM by intel-ipsec-mb; NULL if it has not this suite */
sa_t *mb_gcm_create(const suite_t *suite, const keys_t *keys);

#endif /* PACKET_CRYPTO_MB_H_ */
