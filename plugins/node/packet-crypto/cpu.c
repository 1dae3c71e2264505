/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "cpu.h"
#include "../vector.h"

#include <stdatomic.h>

/** The ways that there are, each with what those before it use */
typedef enum {
	PORTABLE,
	AES_AND_CLMUL,
	WIDE_AES,
} way_t;

/* of the process: workers have the same CPU */
static atomic_int allowed = WIDE_AES;

bool cpu_has_aes(void)
{
#ifdef __x86_64__
	return allowed >= AES_AND_CLMUL && __builtin_cpu_supports("aes");
#else
	return false;
#endif
}

bool cpu_has_clmul(void)
{
#ifdef __x86_64__
	return allowed >= AES_AND_CLMUL && __builtin_cpu_supports("pclmul") &&
		   __builtin_cpu_supports("sse4.1");
#else
	return false;
#endif
}

bool cpu_has_wide_aes(void)
{
#ifdef __x86_64__
	return allowed >= WIDE_AES && cpu_has_aes() &&
		   __builtin_cpu_supports("vaes") && __builtin_cpu_supports("avx512f") &&
		   __builtin_cpu_supports("avx512bw");
#else
	return false;
#endif
}

static way_t best_way(void)
{
	if (cpu_has_wide_aes())
	{
		return WIDE_AES;
	}
	return cpu_has_aes() && cpu_has_clmul() ? AES_AND_CLMUL : PORTABLE;
}

napi_value cpu_instructions(napi_env env, napi_callback_info info)
{
	napi_value result;

	VECTOR_ARGS(env, info, 1);
	VECTOR_ARG_UINT32(env, 0, way);
	VECTOR_CHECK(env, way <= WIDE_AES, "no such way");
	allowed = WIDE_AES;
	VECTOR_TRY(env, napi_create_uint32(env, best_way(), &result));
	allowed = (int)way;
	return result;
}
