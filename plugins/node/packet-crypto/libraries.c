/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "crypto.h"

#include <openssl/crypto.h>

napi_value crypto_libraries(napi_env env, napi_callback_info info)
{
	napi_value result, openssl;

	(void)info;
	VECTOR_TRY(env, napi_create_object(env, &result));
	VECTOR_TRY(env, napi_create_string_utf8(env, OpenSSL_version(OPENSSL_VERSION),
											NAPI_AUTO_LENGTH, &openssl));
	VECTOR_TRY(env, napi_set_named_property(env, result, "openssl", openssl));
	return result;
}
