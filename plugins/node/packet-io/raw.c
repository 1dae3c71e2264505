/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "raw_share.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void raw_shut(endpoint_t *this)
{
	raw_t *raw = this->data;

	sources_close(&raw->sources);
	free(raw->shares);
	raw->shares = NULL;
	raw->share_count = 0;
}

static const endpoint_kind_t raw_kind = {
	.name = "raw",
	.send = raw_send,
	.shut = raw_shut,
};

/*
 * IPPROTO_RAW: sockets that only send, with the header included. PMTUDISC_PROBE:
 * only the device's MTU counts. Else the kernel would fragment (IPv4 without DF) or
 * refuse by a path MTU that it learned from ICMP, which anybody can send.
 */

static int open_ipv4(uint32_t mark, uint32_t buffer_bytes)
{
	int fd, error, on = 1, probe = IP_PMTUDISC_PROBE;

	fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd != -1 &&
		(setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)) == -1 ||
		 setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe,
					sizeof(probe)) == -1 ||
		 /* fragments of ours stay what they are if the host tracks connections */
		 setsockopt(fd, IPPROTO_IP, IP_NODEFRAG, &on, sizeof(on)) == -1 ||
		 !source_set_common(fd, mark, buffer_bytes)))
	{
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (fd != -1)
	{
		source_bypass_policies(fd, AF_INET);
	}
	return fd;
}

static int open_ipv6(uint32_t mark, uint32_t buffer_bytes)
{
	int fd, error, on = 1, probe = IPV6_PMTUDISC_PROBE;

	fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd != -1 &&
		(setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof(on)) == -1 ||
		 setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe,
					sizeof(probe)) == -1 ||
		 !source_set_common(fd, mark, buffer_bytes)))
	{
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (fd != -1)
	{
		source_bypass_policies(fd, AF_INET6);
	}
	return fd;
}

napi_value raw_open(napi_env env, napi_callback_info info)
{
	int fd, fd6, error;
	endpoint_t *endpoint;
	napi_value object;
	raw_t *raw;

	VECTOR_ARGS(env, info, 4);
	VECTOR_ARG_UINT32(env, 0, mark);
	VECTOR_ARG_UINT32(env, 1, buffer_bytes);
	VECTOR_ARG_UINT32(env, 2, port);
	VECTOR_ARG_UINT32(env, 3, source_port);
	VECTOR_CHECK(env, buffer_bytes <= INT32_MAX / 2,
				 "send buffer is out of range");
	VECTOR_CHECK(env, port <= UINT16_MAX && source_port <= UINT16_MAX,
				 "a port is out of range");

	fd = open_ipv4(mark, buffer_bytes);
	if (fd == -1)
	{
		return endpoint_throw_errno(env, "raw socket", errno);
	}
	fd6 = open_ipv6(mark, buffer_bytes);
	/* a kernel without IPv6 sends IPv4 all the same */
	if (fd6 == -1 && errno != EAFNOSUPPORT)
	{
		error = errno;
		close(fd);
		return endpoint_throw_errno(env, "raw socket for IPv6", error);
	}
	object = endpoint_create(env, &raw_kind, fd, fd6);
	endpoint = object ? endpoint_unwrap(env, object) : NULL;
	if (!endpoint)
	{
		return NULL;
	}
	raw = calloc(1, sizeof(*raw));
	if (raw)
	{
		raw->share_count = 1;
		raw->shares = calloc(1, sizeof(*raw->shares));
	}
	if (!raw || !raw->shares)
	{
		free(raw);
		/* the object is collected, and its descriptors are closed then */
		return endpoint_throw_errno(env, "raw socket", ENOMEM);
	}
	raw->run_port = (uint16_t)port;
	raw->sources.port = (uint16_t)source_port;
	raw->sources.mark = mark;
	raw->sources.buffer_bytes = buffer_bytes;
	endpoint->data = raw;
	return object;
}

/** The raw endpoint in an argument, open or closed; NULL with a pending exception */
static raw_t *raw_get(napi_env env, napi_value object)
{
	endpoint_t *endpoint = endpoint_unwrap(env, object);

	if (endpoint)
	{
		VECTOR_CHECK(env, endpoint->kind == &raw_kind,
					 "the endpoint is no raw one");
		return endpoint->data;
	}
	return NULL;
}

napi_value raw_runs(napi_env env, napi_callback_info info)
{
	raw_t *raw;

	VECTOR_ARGS(env, info, 2);
	raw = raw_get(env, argv[0]);
	if (!raw)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_float64_array, double, counters);
	VECTOR_CHECK(env, counters_entries >= 5, "counters must have 5 entries");
	counters[0] = (double)raw->runs;
	counters[1] = (double)raw->run_packets;
	counters[2] = (double)sources_open(&raw->sources);
	counters[3] = (double)raw->runs_error;
	counters[4] = (double)raw->sources.last_error;
	return NULL;
}

napi_value raw_close_idle(napi_env env, napi_callback_info info)
{
	raw_t *raw;

	VECTOR_ARGS(env, info, 1);
	raw = raw_get(env, argv[0]);
	if (raw)
	{
		sources_close_idle(&raw->sources);
	}
	return NULL;
}
