/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "tun_queue.h"

#include <errno.h>
#include <string.h>

static void note_error(tun_queue_t *this, int error)
{
	this->counts.errors++;
	this->counts.last_error = error;
	/* reading a TUN says so when its device was deleted */
	this->counts.is_gone |= error == EBADFD;
}

/**
 * Pieces of what was read before, maybe by a call that had more room.
 *
 * @return			how many
 */
static uint32_t cut_into(tun_queue_t *this, vector_t *vector, uint32_t from,
						 uint32_t max, uint32_t room)
{
	uint32_t filled = 0, bytes;

	while (filled < max && (bytes = cut_next_bytes(&this->cut)))
	{
		if (bytes > room)
		{
			this->cut = (cut_t){};
			this->counts.too_long++;
			break;
		}
		cut_next(&this->cut, vector->slab + vector->offset[from + filled]);
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
static bool take_packet(tun_queue_t *this, vector_t *vector, uint32_t i,
						const struct virtio_net_hdr *header, uint32_t len,
						uint32_t direct)
{
	uint8_t *packet = vector->slab + vector->offset[i];
	bool is_super = header->gso_type != VIRTIO_NET_HDR_GSO_NONE;

	if (len > (is_super ? TUN_SUPER_MAX : direct))
	{
		this->counts.too_long++;
		return false;
	}
	if (!is_super)
	{
		if (cut_finish_checksum(header, packet, len))
		{
			vector->length[i] = len;
			return true;
		}
		note_error(this, EBADMSG);
		return false;
	}
	memcpy(this->super, packet, len < direct ? len : direct);
	if (!cut_start(&this->cut, header, this->super, len))
	{
		note_error(this, EBADMSG);
	}
	return false;
}

/**
 * A packet goes straight to its slot. What turns out to be a super-packet is moved to
 * a place of its own and cut from there; what there are no slots for stays, and is the
 * first thing of the next call.
 */
uint32_t tun_queue_receive(tun_queue_t *this, vector_t *vector, uint32_t from,
						   uint32_t max, uint32_t room)
{
	uint32_t filled, direct = room < TUN_SUPER_MAX ? room : TUN_SUPER_MAX;
	struct virtio_net_hdr header;
	ssize_t len;

	filled = cut_into(this, vector, from, max, room);
	while (filled < max)
	{
		struct iovec iov[] = {
			{ &header, sizeof(header) },
			{ vector->slab + vector->offset[from + filled], direct },
			{ this->super + direct, sizeof(this->super) - direct },
		};

		len = readv(this->fd, iov, sizeof(iov) / sizeof(iov[0]));
		if (len > (ssize_t)sizeof(header))
		{
			if (take_packet(this, vector, from + filled, &header,
							(uint32_t)len - sizeof(header), direct))
			{
				filled++;
			}
			filled += cut_into(this, vector, from + filled, max - filled,
							   room);
		}
		else if (len >= 0 || errno != EINTR)
		{
			if (len > 0 || (len < 0 && errno != EAGAIN))
			{
				note_error(this, len > 0 ? EBADMSG : errno);
			}
			break;
		}
	}
	this->counts.received += filled;
	return filled;
}

bool tun_queue_has_more(const tun_queue_t *this)
{
	return cut_next_bytes(&this->cut) > 0;
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

static void write_single(tun_queue_t *this, uint32_t i)
{
	struct virtio_net_hdr header = {};
	vector_t *vector = this->join.vector;
	struct iovec iov[] = {
		{ &header, sizeof(header) },
		{ vector->slab + vector->offset[i], vector->length[i] },
	};

	if (write_all(this->fd, iov, 2) >= 0)
	{
		this->counts.sent++;
		return;
	}
	vector->verdict[i] = errno == EMSGSIZE ? this->too_big : this->refused;
	this->counts.refused++;
	this->counts.last_error = errno;
}

static void write_flow(join_t *join, const join_flow_t *flow)
{
	tun_queue_t *this = (tun_queue_t*)join;

	if (flow->count > 1)
	{
		join_write_make(&this->write, flow, join->vector);
		if (write_all(this->fd, this->write.iov, this->write.iov_count) >= 0)
		{
			this->counts.sent += flow->count;
			return;
		}
		/* some kernel may not like it: it gets them one by one */
	}
	for (uint32_t n = 0; n < flow->count; n++)
	{
		write_single(this, flow->index[n]);
	}
}

void tun_queue_send(tun_queue_t *this, vector_t *vector, uint32_t from,
					uint32_t count, const uint8_t *part, uint8_t mine)
{
	this->join.part = part;
	this->join.mine = mine;
	join_run(&this->join, vector, from, count);
}

void tun_queue_init(tun_queue_t *this, int fd)
{
	this->fd = fd;
	this->join.emit = write_flow;
}

void tun_queue_report(tun_queue_t *this, endpoint_t *endpoint)
{
	endpoint_note_received(endpoint, this->counts.received);
	endpoint->sent += this->counts.sent;
	endpoint->refused += this->counts.refused;
	endpoint->too_long += this->counts.too_long;
	endpoint->errors += this->counts.errors;
	if (this->counts.last_error)
	{
		endpoint->last_error = this->counts.last_error;
	}
	endpoint->is_gone |= this->counts.is_gone;
	this->counts = (tun_counts_t){};
}
