/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What the CPU can do, asked once. Each file that uses such instructions has a
 * portable way beside them.
 */

#ifndef PACKET_CRYPTO_CPU_H_
#define PACKET_CRYPTO_CPU_H_

#include <node_api.h>
#include <stdbool.h>

/** AES rounds (AES-NI) */
bool cpu_has_aes(void);

/** Multiplication without carry (PCLMULQDQ) */
bool cpu_has_clmul(void);

/** AES rounds on four blocks at once (VAES with AVX-512) */
bool cpu_has_wide_aes(void);

/**
 * instructions(way): for tests. What is made from now on goes no better way than
 * 0, the portable one, 1, AES-NI with PCLMULQDQ, or 2, VAES besides. Returns the
 * best that the CPU has.
 */
napi_value cpu_instructions(napi_env env, napi_callback_info info);

#endif /* PACKET_CRYPTO_CPU_H_ */
