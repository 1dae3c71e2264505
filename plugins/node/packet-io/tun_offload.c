/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * An endpoint for one or several queues of a TUN. With several a crew reads and writes
 * them side by side. What is written is parted by flow: a flow is always one queue's,
 * so its packets keep their order, and the kernel, which sends a flow's packets to the
 * queue that it was last written on, does not change queues either. The kernel's own
 * work with what is written (TCP) is done in the write, so that is parted, too.
 */

#include "tun.h"
#include "flow.h"
#include "tun_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/** Packets that are parted together */
#define PART_PACKETS 1024
/** So many packets for others are worth their waking up */
#define FORK_PACKETS 16

typedef struct {
	uint32_t count;
	/** whose a packet is, of those that are being sent */
	uint8_t part[PART_PACKETS];
	/** packets of the last call to receive: how much there is to expect of the next */
	uint32_t last_received;
	tun_queue_t queue[];
} tun_offload_t;

/** A part of a vector that a queue fills */
typedef struct {
	tun_queue_t *queue;
	uint32_t from;
	uint32_t max;
	uint32_t filled;
} region_t;

typedef struct {
	tun_offload_t *tun;
	vector_t *vector;
	uint32_t room;
	region_t region[TUN_QUEUES_MAX];
} reading_t;

typedef struct {
	tun_offload_t *tun;
	vector_t *vector;
	uint32_t from;
	uint32_t count;
} writing_t;

static void read_unit(void *arg, unsigned worker, unsigned unit)
{
	reading_t *this = arg;
	region_t *region = &this->region[unit];

	(void)worker;
	region->filled = tun_queue_receive(region->queue, this->vector, region->from,
									   region->max, this->room);
}

/** Queues that have something, each with an equal share of the vector. @return how many */
static uint32_t share_out(endpoint_t *endpoint, reading_t *this, uint32_t from,
						  uint32_t max)
{
	struct epoll_event ready[TUN_QUEUES_MAX];
	uint32_t share;
	/* of more than it may tell the kernel tells others the next time */
	int count = epoll_wait(endpoint->fd, ready,
						   (int)(max < this->tun->count ? max : this->tun->count),
						   0);

	for (int i = 0; i < count; i++)
	{
		share = max / (uint32_t)(count - i);
		this->region[i] = (region_t){
			.queue = &this->tun->queue[ready[i].data.u32],
			.from = from,
			.max = share,
		};
		from += share;
		max -= share;
	}
	return count > 0 ? (uint32_t)count : 0;
}

/** Closes the gaps between regions by swapping slots. @return packets in all */
static uint32_t close_gaps(reading_t *this, uint32_t from, uint32_t regions)
{
	vector_t *vector = this->vector;
	uint32_t to = from, offset;

	for (uint32_t r = 0; r < regions; r++)
	{
		for (uint32_t i = this->region[r].from;
			 i < this->region[r].from + this->region[r].filled; i++, to++)
		{
			offset = vector->offset[to];
			vector->offset[to] = vector->offset[i];
			vector->offset[i] = offset;
			vector->length[to] = vector->length[i];
		}
	}
	return to - from;
}

/** Nothing new on the descriptor would tell of what waits in a queue */
static void watch_again(endpoint_t *endpoint, const reading_t *reading,
						uint32_t regions)
{
	tun_offload_t *this = reading->tun;

	for (uint32_t r = 0; r < regions; r++)
	{
		tun_queue_t *queue = reading->region[r].queue;
		struct epoll_event event = {
			.events = EPOLLIN | (tun_queue_has_more(queue) ? EPOLLOUT : 0),
			.data.u32 = (uint32_t)(queue - this->queue),
		};

		/* a TUN can be written to nearly always */
		if (queue->watched != event.events)
		{
			queue->watched = event.events;
			epoll_ctl(endpoint->fd, EPOLL_CTL_MOD, queue->fd, &event);
		}
		tun_queue_report(queue, endpoint);
	}
}

static uint32_t tun_queues_receive(endpoint_t *this, vector_t *vector,
								   uint32_t from, uint32_t max, uint32_t room)
{
	tun_offload_t *state = this->data;
	reading_t reading;
	uint32_t regions, filled;

	reading.tun = state;
	reading.vector = vector;
	reading.room = room;
	regions = share_out(this, &reading, from, max);
	crew_run(state->last_received >= FORK_PACKETS ? this->crew : NULL,
			 read_unit, &reading, regions);
	filled = close_gaps(&reading, from, regions);
	watch_again(this, &reading, regions);
	state->last_received = filled;
	return filled;
}

static uint32_t tun_offload_receive(endpoint_t *this, vector_t *vector,
									uint32_t from, uint32_t max, uint32_t room)
{
	tun_offload_t *state = this->data;
	tun_queue_t *only = &state->queue[0];
	uint32_t filled;

	if (state->count > 1)
	{
		return tun_queues_receive(this, vector, from, max, room);
	}
	filled = tun_queue_receive(only, vector, from, max, room);
	/* nothing new on the descriptor would tell of what waits here */
	endpoint_poll_again(this, tun_queue_has_more(only));
	tun_queue_report(only, this);
	return filled;
}

static void write_unit(void *arg, unsigned worker, unsigned unit)
{
	writing_t *this = arg;

	(void)worker;
	tun_queue_send(&this->tun->queue[unit], this->vector, this->from, this->count,
				   this->tun->count > 1 ? this->tun->part : NULL, (uint8_t)unit);
}

/** @return packets that are not of the queue that has most */
static uint32_t part_packets(writing_t *this)
{
	uint32_t packets[TUN_QUEUES_MAX] = {}, all = 0, most = 0, part;
	vector_t *vector = this->vector;

	for (uint32_t i = this->from; i < this->from + this->count; i++)
	{
		if (!vector->verdict[i])
		{
			part = flow_part(flow_hash(vector->slab + vector->offset[i],
									   vector->length[i]), this->tun->count);
			this->tun->part[i - this->from] = (uint8_t)part;
			packets[part]++;
			all++;
			most = packets[part] > most ? packets[part] : most;
		}
	}
	return all - most;
}

static uint32_t tun_offload_send(endpoint_t *this, vector_t *vector,
								 uint32_t from, uint32_t count, uint8_t refused,
								 uint8_t too_big)
{
	tun_offload_t *state = this->data;
	uint64_t before = this->sent;
	uint32_t end = from + count, elsewhere;
	writing_t writing = { .tun = state, .vector = vector };

	for (uint32_t q = 0; q < state->count; q++)
	{
		state->queue[q].refused = refused;
		state->queue[q].too_big = too_big;
	}
	for (writing.from = from; writing.from < end; writing.from += writing.count)
	{
		writing.count = end - writing.from;
		elsewhere = 0;
		if (state->count > 1)
		{
			writing.count = writing.count < PART_PACKETS ? writing.count
														 : PART_PACKETS;
			elsewhere = part_packets(&writing);
		}
		crew_run(elsewhere >= FORK_PACKETS ? this->crew : NULL, write_unit,
				 &writing, state->count);
	}
	for (uint32_t q = 0; q < state->count; q++)
	{
		tun_queue_report(&state->queue[q], this);
	}
	return (uint32_t)(this->sent - before);
}

static void close_queues(tun_offload_t *this)
{
	for (uint32_t q = 0; q < this->count; q++)
	{
		close(this->queue[q].fd);
	}
}

static void tun_offload_shut(endpoint_t *endpoint)
{
	tun_offload_t *this = endpoint->data;

	/* a single one is the endpoint's own descriptor */
	if (this->count > 1)
	{
		close_queues(this);
	}
}

static const endpoint_kind_t tun_offload_kind = {
	.name = "tun",
	.receive = tun_offload_receive,
	.send = tun_offload_send,
	.shut = tun_offload_shut,
};

/** A descriptor that can be read when one of the queues can. @return -1 with errno */
static int watch_queues(tun_offload_t *this)
{
	int set = epoll_create1(EPOLL_CLOEXEC), error;

	for (uint32_t q = 0; set != -1 && q < this->count; q++)
	{
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = q };

		this->queue[q].watched = event.events;
		if (epoll_ctl(set, EPOLL_CTL_ADD, this->queue[q].fd, &event) == -1)
		{
			error = errno;
			close(set);
			errno = error;
			return -1;
		}
	}
	return set;
}

napi_value tun_offload_create(napi_env env, const int *fds, uint32_t count)
{
	tun_offload_t *state = calloc(1, sizeof(*state) +
								  count * sizeof(state->queue[0]));
	endpoint_t *endpoint;
	napi_value object;
	int fd;

	if (!state)
	{
		for (uint32_t q = 0; q < count; q++)
		{
			close(fds[q]);
		}
		return endpoint_throw_errno(env, tun_offload_kind.name, ENOMEM);
	}
	state->count = count;
	for (uint32_t q = 0; q < count; q++)
	{
		tun_queue_init(&state->queue[q], fds[q]);
	}
	fd = count > 1 ? watch_queues(state) : fds[0];
	if (fd == -1)
	{
		endpoint_throw_errno(env, "epoll", errno);
		close_queues(state);
		free(state);
		return NULL;
	}
	object = endpoint_create(env, &tun_offload_kind, fd, -1);
	endpoint = object ? endpoint_unwrap(env, object) : NULL;
	if (!endpoint)
	{
		/* the endpoint's own descriptor is closed by now */
		if (count > 1)
		{
			close_queues(state);
		}
		free(state);
		return NULL;
	}
	endpoint->data = state;
	return object;
}
