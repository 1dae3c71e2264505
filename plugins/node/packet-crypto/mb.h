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

/** AES-GCM by intel-ipsec-mb, for any number of workers; NULL if it has not this suite */
sa_t *mb_gcm_create(const suite_t *suite, const keys_t *keys);

/** A cipher, or none, and a MAC by jobs of so many workers; NULL if it has not this suite */
sa_t *mb_cipher_create(const suite_t *suite, const keys_t *keys, unsigned workers);

/** Give a worker what its jobs need; false: no memory */
bool mb_open_jobs(worker_t *worker);

/** Work until none of the worker's packets is pending with the library */
void mb_flush(worker_t *worker);

/** Wipe and free what its jobs needed */
void mb_close_jobs(worker_t *worker);

#endif /* PACKET_CRYPTO_MB_H_ */
