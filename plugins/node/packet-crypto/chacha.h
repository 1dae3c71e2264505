/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Single blocks of ChaCha20's key stream (RFC 8439 section 2.3). The library has
 * them only behind a new initialisation for each place in the stream.
 */

#ifndef PACKET_CRYPTO_CHACHA_H_
#define PACKET_CRYPTO_CHACHA_H_

#include <stdint.h>

#define CHACHA_BLOCK_BYTES 64
#define CHACHA_KEY_BYTES 32
#define CHACHA_NONCE_BYTES 12

/** Write block number counter of the key stream */
void chacha_block(const uint8_t key[CHACHA_KEY_BYTES],
				  const uint8_t nonce[CHACHA_NONCE_BYTES], uint32_t counter,
				  uint8_t out[CHACHA_BLOCK_BYTES]);

#endif /* PACKET_CRYPTO_CHACHA_H_ */
