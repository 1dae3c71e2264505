/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "cpu.h"
#include "../vector.h"

#include <stdatomic.h>

/* of the process: workers have the same CPU */
static atomic_bool is_portable = false;

bool cpu_has_aes(void)
{
#ifdef __x86_64__
	return !is_portable && __builtin_cpu_supports("aes");
#else
	return false;
#endif
}

bool cpu_has_clmul(void)
{
#ifdef __x86_64__
	return !is_portable && __builtin_cpu_supports("pclmul");
#else
	return false;
#endif
}

napi_value cpu_instructions(napi_env env, napi_callback_info info)
{
	bool is_used;
	napi_value result;

	VECTOR_ARGS(env, info, 1);
	VECTOR_CHECK(env, napi_get_value_bool(env, argv[0], &is_used) == napi_ok,
				 "isUsed must be a boolean");
	is_portable = false;
	VECTOR_TRY(env, napi_get_boolean(env, cpu_has_aes() && cpu_has_clmul(),
									 &result));
	is_portable = !is_used;
	return result;
}
