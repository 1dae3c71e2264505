/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/** Beyond net.core.*mem_max needs CAP_NET_ADMIN; take what we get without */
static bool set_buffer(int fd, int forced, int plain, int size)
{
	return setsockopt(fd, SOL_SOCKET, forced, &size, sizeof(size)) == 0 ||
		   setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size)) == 0;
}

napi_value udp_socket(napi_env env, napi_callback_info info)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char text[INET_ADDRSTRLEN];
	napi_value result;
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
		return endpoint_throw_errno(env, "udp socket", errno);
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
		return endpoint_throw_errno(env, text, error);
	}
	if (napi_create_int32(env, fd, &result) != napi_ok)
	{
		close(fd);
		return endpoint_throw_errno(env, "udp socket", ENOMEM);
	}
	return result;
}
