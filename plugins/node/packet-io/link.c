/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Whole frames of one EtherType on one interface, in and out: for asking a network
 * who has an address. A few frames a call, so nothing is batched here.
 */

static uint32_t link_receive(endpoint_t *this, vector_t *vector, uint32_t from,
							 uint32_t max, uint32_t room)
{
	uint32_t filled = 0;
	ssize_t len;

	/* what is too long counts, too, or a flood of it would go on for ever */
	for (uint32_t looked = 0; looked < max; looked++)
	{
		len = recv(this->fd, vector->slab + vector->offset[from + filled], room,
				   MSG_DONTWAIT | MSG_TRUNC);
		if (len < 0)
		{
			if (errno == EINTR)
			{
				continue;
			}
			if (errno != EAGAIN)
			{
				endpoint_note_error(this, errno);
			}
			break;
		}
		if ((size_t)len > room)
		{
			this->too_long++;
			continue;
		}
		vector->length[from + filled++] = (uint32_t)len;
	}
	endpoint_note_received(this, filled);
	return filled;
}

static const endpoint_kind_t link_kind = {
	.name = "link",
	.receive = link_receive,
	.send = endpoint_write_each,
};

napi_value link_open(napi_env env, napi_callback_info info)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	char name[IF_NAMESIZE];
	int fd, error, on = 1;
	size_t len;

	VECTOR_ARGS(env, info, 2);
	VECTOR_CHECK(env, napi_get_value_string_utf8(env, argv[0], NULL, 0,
												 &len) == napi_ok &&
				 len > 0 && len < sizeof(name), "name must have 1 to 15 bytes");
	VECTOR_TRY(env, napi_get_value_string_utf8(env, argv[0], name,
											   sizeof(name), &len));
	VECTOR_ARG_UINT32(env, 1, ethertype);
	VECTOR_CHECK(env, ethertype == ETH_P_ARP || ethertype == ETH_P_IPV6,
				 "ethertype must be that of ARP or IPv6");

	address.sll_protocol = htons((uint16_t)ethertype);
	address.sll_ifindex = (int)if_nametoindex(name);
	if (!address.sll_ifindex)
	{
		return endpoint_throw_errno(env, name, errno);
	}
	/* deaf (protocol 0) until it is bound to the one interface */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
	{
		return endpoint_throw_errno(env, "packet socket", errno);
	}
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
				   sizeof(on)) == -1 ||
		bind(fd, (struct sockaddr*)&address, sizeof(address)) == -1)
	{
		error = errno;
		close(fd);
		return endpoint_throw_errno(env, "link", error);
	}
	return endpoint_create(env, &link_kind, fd, -1);
}
