/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
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
	endpoint_note_received(this, filled);
	return filled;
}

static const endpoint_kind_t tun_kind = {
	.name = "tun",
	.receive = tun_receive,
	.send = endpoint_write_each,
};

/* of kernels from 6.2 on */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/**
 * Say what the kernel may leave to us. It remembers that for a persistent device, also
 * of an attachment before this one.
 */
static bool set_offloads(int fd, bool vnet_header)
{
	const unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
							  TUN_F_TSO_ECN;
	int header_bytes = sizeof(struct virtio_net_hdr), little_endian = 1;

	if (!vnet_header)
	{
		return ioctl(fd, TUNSETOFFLOAD, 0UL) == 0;
	}
	return ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) == 0 &&
		   ioctl(fd, TUNSETVNETLE, &little_endian) == 0 &&
		   (ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0 ||
			ioctl(fd, TUNSETOFFLOAD, tcp) == 0);
}

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

/** A number of an options object; absent is 0 */
static bool get_count(napi_env env, napi_value options, const char *name,
					  uint32_t *out)
{
	napi_value value;
	napi_valuetype type;

	*out = 0;
	return napi_get_named_property(env, options, name, &value) == napi_ok &&
		   napi_typeof(env, value, &type) == napi_ok &&
		   (type == napi_undefined || vector_get_uint32(env, value, out));
}

/** A descriptor attached to the device, which is made if it is not there. @return -1 with an exception */
static int attach(napi_env env, struct ifreq *request, bool vnet_header,
				  bool persist)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), error;

	if (fd == -1)
	{
		endpoint_throw_errno(env, "/dev/net/tun", errno);
	}
	else if (ioctl(fd, TUNSETIFF, request) == -1 ||
			 !set_offloads(fd, vnet_header) ||
			 ioctl(fd, TUNSETPERSIST, persist ? 1UL : 0UL) == -1)
	{
		error = errno;
		close(fd);
		fd = -1;
		endpoint_throw_errno(env, request->ifr_name, error);
	}
	return fd;
}

napi_value tun_open(napi_env env, napi_callback_info info)
{
	struct ifreq request = {};
	bool persist, vnet_header;
	uint32_t queues, opened = 0;
	int fds[TUN_QUEUES_MAX];
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
	VECTOR_CHECK(env, get_count(env, argv[1], "queues", &queues) &&
				 queues <= TUN_QUEUES_MAX && (queues <= 1 || vnet_header),
				 "queues must be 0 to 64; several need vnetHeader");

	/* a device that is there takes on the flags of whoever attaches, but for whether it may have queues */
	request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI |
								(vnet_header ? IFF_VNET_HDR : 0) |
								(queues ? IFF_MULTI_QUEUE : 0));
	do
	{
		fds[opened] = attach(env, &request, vnet_header, persist);
		if (fds[opened] == -1)
		{
			while (opened)
			{
				close(fds[--opened]);
			}
			return NULL;
		}
	}
	while (++opened < queues);
	return vnet_header ? tun_offload_create(env, fds, opened)
					   : endpoint_create(env, &tun_kind, fds[0], -1);
}
