/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "endpoint.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Hears that something of the kernel's configuration has changed, not what: who wants to
 * know looks. So messages are thrown away unread, and one that was lost counts as one.
 */

/** Messages a call throws away at most; what is left is heard by the next one */
#define NETLINK_MESSAGES 4096

static const endpoint_kind_t netlink_kind = {
	.name = "netlink",
};

napi_value netlink_open(napi_env env, napi_callback_info info)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int fd, error;

	VECTOR_ARGS(env, info, 2);
	VECTOR_ARG_UINT32(env, 0, protocol);
	VECTOR_ARG_UINT32(env, 1, groups);
	VECTOR_CHECK(env, protocol == NETLINK_ROUTE ||
				 protocol == NETLINK_NETFILTER,
				 "protocol must be that of routing or of netfilter");
	VECTOR_CHECK(env, groups, "groups must not be 0");

	address.nl_groups = groups;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
				(int)protocol);
	if (fd == -1)
	{
		return endpoint_throw_errno(env, "netlink socket", errno);
	}
	if (bind(fd, (struct sockaddr*)&address, sizeof(address)) == -1)
	{
		error = errno;
		close(fd);
		return endpoint_throw_errno(env, "netlink", error);
	}
	return endpoint_create(env, &netlink_kind, fd, -1);
}

napi_value netlink_heard(napi_env env, napi_callback_info info)
{
	endpoint_t *endpoint;
	napi_value result;
	bool heard = false;
	uint8_t byte;
	int i;

	VECTOR_ARGS(env, info, 1);
	endpoint = endpoint_get(env, argv[0]);
	if (!endpoint)
	{
		return NULL;
	}
	VECTOR_CHECK(env, endpoint->kind == &netlink_kind,
				 "the endpoint is not of netlink");
	for (i = 0; i < NETLINK_MESSAGES; i++)
	{
		if (recv(endpoint->fd, &byte, sizeof(byte), MSG_DONTWAIT) == -1)
		{
			if (errno == EAGAIN)
			{
				break;
			}
			/* ENOBUFS: there was no room for one */
			if (errno != EINTR && errno != ENOBUFS)
			{
				endpoint_note_error(endpoint, errno);
				heard = true;
				break;
			}
		}
		heard = true;
	}
	VECTOR_TRY(env, napi_get_boolean(env, heard, &result));
	return result;
}
