/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "mb.h"

#include <openssl/crypto.h>

static bool set_string(napi_env env, napi_value object, const char *name,
					   const char *text)
{
	napi_value value;

	return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
		   napi_set_named_property(env, object, name, value) == napi_ok;
}

napi_value crypto_libraries(napi_env env, napi_callback_info info)
{
	const char *missing = mb_missing();
	napi_value result;

	(void)info;
	VECTOR_TRY(env, napi_create_object(env, &result));
	if (!set_string(env, result, "openssl", OpenSSL_version(OPENSSL_VERSION)) ||
		!set_string(env, result, missing ? "ipsecMbMissing" : "ipsecMb",
					missing ? missing : mb_version()))
	{
		vector_throw_last(env, "napi_set_named_property");
		return NULL;
	}
	return result;
}
