/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "udp_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

/** Beyond net.core.*mem_max needs CAP_NET_ADMIN; take what we get without */
static bool set_buffer(int fd, int forced, int plain, int size)
{
	return setsockopt(fd, SOL_SOCKET, forced, &size, sizeof(size)) == 0 ||
		   setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size)) == 0;
}

/**
 * A bound socket for the arguments (address, port, bufferBytes) of a call.
 *
 * @return			FALSE with a pending exception
 */
static bool bound_socket(napi_env env, napi_callback_info info, int *out)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char text[INET_ADDRSTRLEN];
	int fd, error, omit = IP_PMTUDISC_OMIT;
	size_t len;

	VECTOR_ARGS(env, info, 3);
	VECTOR_CHECK(env, napi_get_value_string_utf8(env, argv[0], NULL, 0,
												 &len) == napi_ok &&
				 len < sizeof(text), "address must be a string");
	VECTOR_TRY(env, napi_get_value_string_utf8(env, argv[0], text,
											   sizeof(text), &len));
	VECTOR_CHECK(env, inet_pton(AF_INET, text, &address.sin_addr) == 1,
				 "address must be an IPv4 address");
	VECTOR_ARG_UINT32(env, 1, port);
	VECTOR_ARG_UINT32(env, 2, buffer_bytes);
	VECTOR_CHECK(env, port <= UINT16_MAX, "port out of range");
	VECTOR_CHECK(env, buffer_bytes <= INT32_MAX / 2, "buffer is out of range");

	address.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
	{
		endpoint_throw_errno(env, "udp socket", errno);
		return false;
	}
	if (!set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, (int)buffer_bytes) ||
		!set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, (int)buffer_bytes) ||
		/* a datagram that is longer than the device's MTU goes in fragments, none
		 * has DF, and nobody's ICMP makes them smaller */
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof(omit)) == -1 ||
		bind(fd, (struct sockaddr*)&address, sizeof(address)) == -1)
	{
		error = errno;
		close(fd);
		endpoint_throw_errno(env, text, error);
		return false;
	}
	*out = fd;
	return true;
}

napi_value udp_socket(napi_env env, napi_callback_info info)
{
	napi_value result;
	int fd;

	if (!bound_socket(env, info, &fd))
	{
		return NULL;
	}
	if (napi_create_int32(env, fd, &result) != napi_ok)
	{
		close(fd);
		return endpoint_throw_errno(env, "udp socket", ENOMEM);
	}
	return result;
}

/** What the kernel dropped at the socket, since it was made */
static void udp_refresh(endpoint_t *this)
{
	uint32_t memory[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(memory);

	if (getsockopt(this->fd, SOL_SOCKET, SO_MEMINFO, memory, &len) == 0)
	{
		/* a counter of 32 bits, which may have gone round */
		this->overrun += (uint32_t)(memory[SK_MEMINFO_DROPS] -
									(uint32_t)this->overrun);
	}
}

const endpoint_kind_t udp_kind = {
	.name = "udp",
	.refresh = udp_refresh,
};

/** Whether the calls for many messages may be made here: a sandbox may know only the older ones */
static bool has_batches(int fd)
{
	struct mmsghdr none;

	return recvmmsg(fd, &none, 0, MSG_DONTWAIT, NULL) != -1 &&
		   sendmmsg(fd, &none, 0, MSG_DONTWAIT) != -1;
}

napi_value udp_open(napi_env env, napi_callback_info info)
{
	int fd, error;

	if (!bound_socket(env, info, &fd))
	{
		return NULL;
	}
	if (!has_batches(fd))
	{
		error = errno;
		close(fd);
		return endpoint_throw_errno(env, "udp batches", error);
	}
	return endpoint_create(env, &udp_kind, fd, -1);
}

endpoint_t *udp_get(napi_env env, napi_value object)
{
	endpoint_t *endpoint = endpoint_get(env, object);

	if (endpoint)
	{
		VECTOR_CHECK(env, endpoint->kind == &udp_kind, "the endpoint is no UDP socket");
	}
	return endpoint;
}

/** An option of SOL_UDP for the endpoint that is the only argument of a call */
static napi_value set_option(napi_env env, napi_callback_info info,
							 const char *name, int option, int value)
{
	endpoint_t *endpoint;

	VECTOR_ARGS(env, info, 1);
	endpoint = udp_get(env, argv[0]);
	if (endpoint && setsockopt(endpoint->fd, SOL_UDP, option, &value,
							   sizeof(value)) == -1)
	{
		return endpoint_throw_errno(env, name, errno);
	}
	return NULL;
}

/*
 * A kernel that does not know UDP_SEGMENT takes no notice of it in a message and sends
 * one long datagram. So it is asked once: 0 changes nothing.
 */
napi_value udp_segmentation(napi_env env, napi_callback_info info)
{
	return set_option(env, info, "UDP_SEGMENT", UDP_SEGMENT, 0);
}

napi_value udp_coalescing(napi_env env, napi_callback_info info)
{
	return set_option(env, info, "UDP_GRO", UDP_GRO, 1);
}
