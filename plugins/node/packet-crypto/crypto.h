/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Cryptography on whole vectors. OpenSSL is the one inside node, which exports
 * it (or the libcrypto that node is linked to): nothing else is linked.
 */

#ifndef PACKET_CRYPTO_CRYPTO_H_
#define PACKET_CRYPTO_CRYPTO_H_

#include "../vector.h"

/** libraries(): { openssl: version, 'ipsec-mb': version or what is missing } */
napi_value crypto_libraries(napi_env env, napi_callback_info info);

#endif /* PACKET_CRYPTO_CRYPTO_H_ */
