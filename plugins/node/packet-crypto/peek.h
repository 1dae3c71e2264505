/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Decrypts the first blocks of packets and the one with the trailer, without
 * authentication: `src/ipsec/peek-cipher.ts` has the contract, README.md one
 * folder up the arguments.
 */

#ifndef PACKET_CRYPTO_PEEK_H_
#define PACKET_CRYPTO_PEEK_H_

#include <node_api.h>

/** peekCreate(verdicts): a table of SAs */
napi_value peek_create(napi_env env, napi_callback_info info);

/** peekInstall(table, slot, shape, prefix, key) */
napi_value peek_install(napi_env env, napi_callback_info info);

/** peekRemove(table, slot): twice is harmless */
napi_value peek_remove(napi_env env, napi_callback_info info);

/** peekBind(table, slab, espOffset, espLength, saSlot, verdict, plain, innerBytes, available): a binding */
napi_value peek_bind(napi_env env, napi_callback_info info);

/** peekDecrypt(binding, count) */
napi_value peek_decrypt(napi_env env, napi_callback_info info);

/** peekDecryptLong(table, slab, espOffset, espLength, slot, out): bytes at hand */
napi_value peek_decrypt_long(napi_env env, napi_callback_info info);

#endif /* PACKET_CRYPTO_PEEK_H_ */
