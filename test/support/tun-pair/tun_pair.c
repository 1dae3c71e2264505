/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * The addon packet-io with an endpoint more, for tests: a TUN with virtio headers
 * whose kernel is the test, at the other ends of pairs of sockets. So the test can
 * say what no kernel would, and sees what was written, write by write.
 */

/* those of packet_io.c have other names here, given by build */
#undef napi_register_module_v1
#undef node_api_module_get_api_version_v1

#include "tun.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

napi_value packet_io_register(napi_env env, napi_value exports);

/** tunPair(sendBufferBytes, queues) -> [endpoint, descriptor of the other end of each queue ...] */
static napi_value tun_pair(napi_env env, napi_callback_info info)
{
	napi_value result, value;
	int ours[TUN_QUEUES_MAX], theirs[TUN_QUEUES_MAX], fds[2], size;

	VECTOR_ARGS(env, info, 2);
	VECTOR_ARG_UINT32(env, 0, send_buffer);
	VECTOR_ARG_UINT32(env, 1, queues);
	VECTOR_CHECK(env, queues > 0 && queues <= TUN_QUEUES_MAX, "1 to 64 queues");
	for (uint32_t q = 0; q < queues; q++)
	{
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
					   fds) == -1)
		{
			return endpoint_throw_errno(env, "socketpair", errno);
		}
		ours[q] = fds[0];
		theirs[q] = fds[1];
		size = (int)send_buffer;
		setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		/* the kernel is never short of room */
		size = 1 << 20;
		setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	VECTOR_TRY(env, napi_create_array(env, &result));
	value = tun_offload_create(env, ours, queues);
	if (!value)
	{
		return NULL;
	}
	VECTOR_TRY(env, napi_set_element(env, result, 0, value));
	for (uint32_t q = 0; q < queues; q++)
	{
		VECTOR_TRY(env, napi_create_int32(env, theirs[q], &value));
		VECTOR_TRY(env, napi_set_element(env, result, q + 1, value));
	}
	return result;
}

/** tunPairGive(descriptor, bytes) -> whether there was room: one read of the endpoint */
static napi_value tun_pair_give(napi_env env, napi_callback_info info)
{
	napi_value result;

	VECTOR_ARGS(env, info, 2);
	VECTOR_ARG_UINT32(env, 0, fd);
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, bytes);
	VECTOR_TRY(env, napi_get_boolean(env,
					send((int)fd, bytes, bytes_entries, 0) >= 0, &result));
	return result;
}

/** tunPairTake(descriptor, buffer) -> bytes of the endpoint's next write, -1: none */
static napi_value tun_pair_take(napi_env env, napi_callback_info info)
{
	napi_value result;

	VECTOR_ARGS(env, info, 2);
	VECTOR_ARG_UINT32(env, 0, fd);
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, bytes);
	VECTOR_TRY(env, napi_create_int32(env,
					(int)recv((int)fd, bytes, bytes_entries, 0), &result));
	return result;
}

NAPI_MODULE_INIT()
{
	const napi_property_descriptor properties[] = {
		{ "tunPair", NULL, tun_pair, NULL, NULL, NULL, napi_enumerable, NULL },
		{ "tunPairGive", NULL, tun_pair_give, NULL, NULL, NULL, napi_enumerable,
		  NULL },
		{ "tunPairTake", NULL, tun_pair_take, NULL, NULL, NULL, napi_enumerable,
		  NULL },
	};

	VECTOR_TRY(env, napi_define_properties(env, exports,
					sizeof(properties) / sizeof(properties[0]), properties));
	return packet_io_register(env, exports);
}
