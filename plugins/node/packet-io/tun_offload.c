/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "tun.h"
#include "cut.h"
#include "join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** The longest super-packet; a byte beyond tells one that was longer */
#define SUPER_MAX 65536

typedef struct {
	/** first, so that it leads to all of this */
	join_t join;
	join_write_t write;
	endpoint_t *endpoint;
	/** of the call to send */
	uint8_t refused;
	uint8_t too_big;
	uint32_t sent;
	/** what is being cut, and its bytes */
	cut_t cut;
	uint8_t super[SUPER_MAX + 1];
} tun_offload_t;

/** Pieces of what was read before. @return how many */
static uint32_t cut_into(endpoint_t *this, vector_t *vector, uint32_t from,
						 uint32_t max)
{
	tun_offload_t *state = this->data;
	uint32_t filled = 0, bytes;

	while (filled < max && (bytes = cut_next_bytes(&state->cut)))
	{
		cut_next(&state->cut, vector->slab + vector->offset[from + filled]);
		vector->length[from + filled++] = bytes;
	}
	return filled;
}

/**
 * A packet of len bytes was read to slot i and, beyond direct bytes, behind the start
 * of the super-packet's place.
 *
 * @return			TRUE if the slot has a packet now; there may be one to cut else
 */
static bool take_packet(endpoint_t *this, vector_t *vector, uint32_t i,
						const struct virtio_net_hdr *header, uint32_t len,
						uint32_t direct, uint32_t room)
{
	tun_offload_t *state = this->data;
	uint8_t *packet = vector->slab + vector->offset[i];
	bool is_super = header->gso_type != VIRTIO_NET_HDR_GSO_NONE;

	if (len > (is_super ? SUPER_MAX : direct))
	{
		this->too_long++;
		return false;
	}
	if (!is_super)
	{
		if (cut_finish_checksum(header, packet, len))
		{
			vector->length[i] = len;
			return true;
		}
		endpoint_note_error(this, EBADMSG);
		return false;
	}
	memcpy(state->super, packet, len < direct ? len : direct);
	if (!cut_start(&state->cut, header, state->super, len))
	{
		endpoint_note_error(this, EBADMSG);
	}
	else if (state->cut.header_bytes + state->cut.piece_bytes > room)
	{
		state->cut = (cut_t){};
		this->too_long++;
	}
	return false;
}

/**
 * A packet goes straight to its slot. What turns out to be a super-packet is moved to
 * a place of its own and cut from there; what there are no slots for stays, and is the
 * first thing of the next call.
 */
static uint32_t tun_offload_receive(endpoint_t *this, vector_t *vector,
									uint32_t from, uint32_t max, uint32_t room)
{
	tun_offload_t *state = this->data;
	uint32_t filled, direct = room < SUPER_MAX ? room : SUPER_MAX;
	struct virtio_net_hdr header;
	ssize_t len;

	filled = cut_into(this, vector, from, max);
	while (filled < max)
	{
		struct iovec iov[] = {
			{ &header, sizeof(header) },
			{ vector->slab + vector->offset[from + filled], direct },
			{ state->super + direct, sizeof(state->super) - direct },
		};

		len = readv(this->fd, iov, sizeof(iov) / sizeof(iov[0]));
		if (len > (ssize_t)sizeof(header))
		{
			if (take_packet(this, vector, from + filled, &header,
							(uint32_t)len - sizeof(header), direct, room))
			{
				filled++;
			}
			filled += cut_into(this, vector, from + filled, max - filled);
		}
		else if (len >= 0 || errno != EINTR)
		{
			if (len > 0 || (len < 0 && errno != EAGAIN))
			{
				endpoint_note_error(this, len > 0 ? EBADMSG : errno);
			}
			break;
		}
	}
	/* nothing new on the descriptor would tell of what waits here */
	endpoint_poll_again(this, cut_next_bytes(&state->cut) > 0);
	endpoint_note_received(this, filled);
	return filled;
}

static ssize_t write_all(int fd, const struct iovec *iov, uint32_t count)
{
	ssize_t len;

	do
	{
		len = writev(fd, iov, (int)count);
	}
	while (len < 0 && errno == EINTR);
	return len;
}

static void write_single(tun_offload_t *state, uint32_t i)
{
	struct virtio_net_hdr header = {};
	vector_t *vector = state->join.vector;
	struct iovec iov[] = {
		{ &header, sizeof(header) },
		{ vector->slab + vector->offset[i], vector->length[i] },
	};

	if (write_all(state->endpoint->fd, iov, 2) >= 0)
	{
		state->sent++;
		return;
	}
	vector->verdict[i] = errno == EMSGSIZE ? state->too_big : state->refused;
	state->endpoint->refused++;
	state->endpoint->last_error = errno;
}

static void write_flow(join_t *join, const join_flow_t *flow)
{
	tun_offload_t *state = (tun_offload_t*)join;

	if (flow->count > 1)
	{
		join_write_make(&state->write, flow, join->vector);
		if (write_all(state->endpoint->fd, state->write.iov,
					  state->write.iov_count) >= 0)
		{
			state->sent += flow->count;
			return;
		}
		/* some kernel may not like it: it gets them one by one */
	}
	for (uint32_t n = 0; n < flow->count; n++)
	{
		write_single(state, flow->index[n]);
	}
}

static uint32_t tun_offload_send(endpoint_t *this, vector_t *vector,
								 uint32_t from, uint32_t count, uint8_t refused,
								 uint8_t too_big)
{
	tun_offload_t *state = this->data;

	state->refused = refused;
	state->too_big = too_big;
	state->sent = 0;
	join_run(&state->join, vector, from, count);
	this->sent += state->sent;
	return state->sent;
}

static const endpoint_kind_t tun_offload_kind = {
	.name = "tun",
	.receive = tun_offload_receive,
	.send = tun_offload_send,
};

napi_value tun_offload_create(napi_env env, int fd)
{
	tun_offload_t *state = calloc(1, sizeof(*state));
	endpoint_t *endpoint;
	napi_value object;

	if (!state)
	{
		close(fd);
		return endpoint_throw_errno(env, tun_offload_kind.name, ENOMEM);
	}
	state->join.emit = write_flow;
	object = endpoint_create(env, &tun_offload_kind, fd, -1);
	endpoint = object ? endpoint_unwrap(env, object) : NULL;
	if (!endpoint)
	{
		free(state);
		return NULL;
	}
	endpoint->data = state;
	state->endpoint = endpoint;
	return object;
}
