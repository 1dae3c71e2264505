/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/**
 * A TUN gives one packet per read. A byte beyond the room tells a packet that did
 * not fit from one that just did: the kernel cuts without a word.
 */
static uint32_t tun_receive(endpoint_t *this, vector_t *vector, uint32_t from,
							uint32_t max, uint32_t room)
{
	uint32_t filled = 0;
	uint8_t spill;
	ssize_t len;

	while (filled < max)
	{
		struct iovec iov[] = {
			{ vector->slab + vector->offset[from + filled], room },
			{ &spill, sizeof(spill) },
		};

		len = readv(this->fd, iov, 2);
		if (len > 0 && (size_t)len <= room)
		{
			vector->length[from + filled++] = (uint32_t)len;
		}
		else if (len > 0)
		{
			this->too_long++;
		}
		else if (len == 0 || errno != EINTR)
		{
			if (len < 0 && errno != EAGAIN)
			{
				endpoint_note_error(this, errno);
			}
			break;
		}
	}
	this->received += filled;
	return filled;
}

static const endpoint_kind_t tun_kind = {
	.name = "tun",
	.receive = tun_receive,
	.send = endpoint_write_each,
};

/** A boolean property of an options object; absent is false */
static bool get_flag(napi_env env, napi_value options, const char *name,
					 bool *out)
{
	napi_value value;
	napi_valuetype type;

	*out = false;
	return napi_get_named_property(env, options, name, &value) == napi_ok &&
		   napi_typeof(env, value, &type) == napi_ok &&
		   (type == napi_undefined ||
			napi_get_value_bool(env, value, out) == napi_ok);
}

napi_value tun_open(napi_env env, napi_callback_info info)
{
	struct ifreq request = {};
	bool persist, vnet_header;
	int fd, error;
	size_t len;

	VECTOR_ARGS(env, info, 2);
	VECTOR_CHECK(env, napi_get_value_string_utf8(env, argv[0], NULL, 0,
												 &len) == napi_ok &&
				 len > 0 && len < sizeof(request.ifr_name),
				 "name must have 1 to 15 bytes");
	VECTOR_TRY(env, napi_get_value_string_utf8(env, argv[0], request.ifr_name,
											   sizeof(request.ifr_name), &len));
	VECTOR_CHECK(env, get_flag(env, argv[1], "persist", &persist),
				 "persist must be a boolean");
	VECTOR_CHECK(env, get_flag(env, argv[1], "vnetHeader", &vnet_header),
				 "vnetHeader must be a boolean");
	VECTOR_CHECK(env, !vnet_header, "vnetHeader is not supported yet");

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
	{
		return endpoint_throw_errno(env, "/dev/net/tun", errno);
	}
	request.ifr_flags = IFF_TUN | IFF_NO_PI;
	if (ioctl(fd, TUNSETIFF, &request) == -1 ||
		ioctl(fd, TUNSETPERSIST, persist ? 1UL : 0UL) == -1)
	{
		error = errno;
		close(fd);
		return endpoint_throw_errno(env, request.ifr_name, error);
	}
	return endpoint_create(env, &tun_kind, fd, -1);
}
