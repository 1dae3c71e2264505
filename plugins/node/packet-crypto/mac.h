/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#ifndef PACKET_CRYPTO_MAC_H_
#define PACKET_CRYPTO_MAC_H_

#include "crypto.h"

/** SHA-512; nor has any key more */
#define MAC_BYTES_MAX 64

typedef struct mac_t mac_t;

/**
 * A MAC with its key, by OpenSSL.
 *
 * @param primitive	OpenSSL's name of the hash under HMAC, else of the cipher in CBC mode
 * @param bytes		as many of the MAC are used, at most
 * @return			NULL if the library has it not, or not so
 */
mac_t *mac_create(mac_kind_t kind, const char *primitive, chunk_t key, size_t bytes);

/** The whole MAC of message and tail, one behind the other; the tail has 4 bytes or none */
bool mac_compute(mac_t *this, chunk_t message, chunk_t tail, worker_t *worker,
				 uint8_t out[MAC_BYTES_MAX]);

/** Wipe and free it; NULL is harmless */
void mac_destroy(mac_t *this);

#endif /* PACKET_CRYPTO_MAC_H_ */
