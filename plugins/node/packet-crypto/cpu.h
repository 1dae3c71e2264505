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

/**
 * instructions(isUsed): for tests. False: what is made from now on goes the
 * portable way. Returns whether the CPU has them all.
 */
napi_value cpu_instructions(napi_env env, napi_callback_info info);

#endif /* PACKET_CRYPTO_CPU_H_ */
