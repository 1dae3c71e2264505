/*
 * Copyright (C) 2026 the strongswan-dvipa authors
 *
 * This program is free software; you can redistribute it and/or modify it
 * under the terms of the GNU General Public License as published by the
 * Free Software Foundation; either version 2 of the License, or (at your
 * option) any later version.  See <http://www.fsf.org/copyleft/gpl.txt>.
 *
 * This program is distributed in the hope that it will be useful, but
 * WITHOUT ANY WARRANTY; without even the implied warranty of MERCHANTABILITY
 * or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU General Public License
 * for more details.
 */

#include "kernel_dvipa_connection.h"

#include <collections/linked_list.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/**
 * Bytes of a packet's length
 */
#define LENGTH_LEN sizeof(uint32_t)

/**
 * Room for input at the beginning, enough for nearly all commands
 */
#define INPUT_LEN 4096

typedef struct private_kernel_dvipa_connection_t private_kernel_dvipa_connection_t;
typedef struct output_t output_t;

/**
 * Private data of a kernel_dvipa_connection_t.
 */
struct private_kernel_dvipa_connection_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_connection_t public;

	/**
	 * Socket
	 */
	int fd;

	/**
	 * Events subscribed to
	 */
	u_int subscriptions;

	/**
	 * Buffer for the packet that is being read, with its length
	 */
	chunk_t input;

	/**
	 * Bytes in input
	 */
	size_t received;

	/**
	 * What waits to be sent, as output_t
	 */
	linked_list_t *output;

	/**
	 * Bytes of events in output
	 */
	size_t backlog;

	/**
	 * Answers in output
	 */
	u_int answers;
};

/**
 * Packets that wait to be sent
 */
struct output_t {

	/** packets */
	chunk_t packets;

	/** bytes already sent */
	size_t sent;

	/** is an answer */
	bool answer;
};

/**
 * Destroy an output_t
 */
static void output_destroy(output_t *output)
{
	chunk_clear(&output->packets);
	free(output);
}

METHOD(kernel_dvipa_connection_t, get_fd, int,
	private_kernel_dvipa_connection_t *this)
{
	return this->fd;
}

METHOD(kernel_dvipa_connection_t, get_events, short,
	private_kernel_dvipa_connection_t *this)
{
	short events = 0;

	if (!this->answers)
	{
		events |= POLLIN;
	}
	if (this->output->get_count(this->output))
	{
		events |= POLLOUT;
	}
	return events;
}

/**
 * Get the size of the packet that is being read, with its length; 0 if not
 * known yet
 */
static size_t packet_size(private_kernel_dvipa_connection_t *this)
{
	if (this->received < LENGTH_LEN)
	{
		return 0;
	}
	return LENGTH_LEN + untoh32(this->input.ptr);
}

/**
 * Make room for the packet that is being read
 */
static void grow_input(private_kernel_dvipa_connection_t *this, size_t size)
{
	chunk_t bigger;

	if (this->input.len < size)
	{
		bigger = chunk_alloc(size);
		memcpy(bigger.ptr, this->input.ptr, this->received);
		chunk_clear(&this->input);
		this->input = bigger;
	}
}

/**
 * Forget the packet that was read
 */
static void reset_input(private_kernel_dvipa_connection_t *this)
{
	memwipe(this->input.ptr, this->received);
	this->received = 0;
	if (this->input.len > INPUT_LEN)
	{
		chunk_free(&this->input);
		this->input = chunk_alloc(INPUT_LEN);
	}
}

/**
 * Read towards the end of a packet. Returns 1 if there is more to read, 0 if
 * not now, -1 if the connection has ended.
 */
static int read_some(private_kernel_dvipa_connection_t *this, size_t size)
{
	ssize_t len;

	len = recv(this->fd, this->input.ptr + this->received,
			   (size ?: LENGTH_LEN) - this->received, MSG_DONTWAIT);
	if (len > 0)
	{
		this->received += len;
		return 1;
	}
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
	{
		return 0;
	}
	return -1;
}

METHOD(kernel_dvipa_connection_t, receive, bool,
	private_kernel_dvipa_connection_t *this, kernel_dvipa_packet_cb_t cb,
	void *user)
{
	size_t size;
	int status;
	bool keep;

	/* one packet at a time, others shall have their turn */
	while (TRUE)
	{
		size = packet_size(this);
		if (size)
		{
			if (size == LENGTH_LEN ||
				size > LENGTH_LEN + KERNEL_DVIPA_MAX_PACKET)
			{
				DBG1(DBG_KNL, "kernel-dvipa: a client sends a packet of %zu "
					 "bytes, disconnected", size - LENGTH_LEN);
				return FALSE;
			}
			grow_input(this, size);
			if (this->received == size)
			{
				keep = cb(user, &this->public,
						  chunk_create(this->input.ptr + LENGTH_LEN,
									   size - LENGTH_LEN));
				reset_input(this);
				return keep;
			}
		}
		status = read_some(this, size);
		if (status <= 0)
		{
			return status == 0;
		}
	}
}

METHOD(kernel_dvipa_connection_t, send_, bool,
	private_kernel_dvipa_connection_t *this)
{
	output_t *output;
	ssize_t len;

	while (this->output->get_first(this->output, (void**)&output) == SUCCESS)
	{
		len = send(this->fd, output->packets.ptr + output->sent,
				   output->packets.len - output->sent,
				   MSG_DONTWAIT | MSG_NOSIGNAL);
		if (len < 0)
		{
			return errno == EAGAIN || errno == EINTR;
		}
		output->sent += len;
		if (output->sent == output->packets.len)
		{
			this->output->remove_first(this->output, (void**)&output);
			if (output->answer)
			{
				this->answers--;
			}
			else
			{
				this->backlog -= output->packets.len;
			}
			output_destroy(output);
		}
	}
	return TRUE;
}

METHOD(kernel_dvipa_connection_t, queue, bool,
	private_kernel_dvipa_connection_t *this, chunk_t packets, bool answer)
{
	output_t *output;

	if (!answer && this->backlog + packets.len > KERNEL_DVIPA_MAX_BACKLOG)
	{
		chunk_clear(&packets);
		return FALSE;
	}
	INIT(output,
		.packets = packets,
		.answer = answer,
	);
	this->output->insert_last(this->output, output);
	if (answer)
	{
		this->answers++;
	}
	else
	{
		this->backlog += packets.len;
	}
	return TRUE;
}

METHOD(kernel_dvipa_connection_t, get_subscriptions, u_int,
	private_kernel_dvipa_connection_t *this)
{
	return this->subscriptions;
}

METHOD(kernel_dvipa_connection_t, set_subscriptions, void,
	private_kernel_dvipa_connection_t *this, u_int bits)
{
	this->subscriptions = bits;
}

METHOD(kernel_dvipa_connection_t, destroy, void,
	private_kernel_dvipa_connection_t *this)
{
	close(this->fd);
	this->output->destroy_function(this->output, (void*)output_destroy);
	chunk_clear(&this->input);
	free(this);
}

/*
 * see header file
 */
kernel_dvipa_connection_t *kernel_dvipa_connection_create(int fd)
{
	private_kernel_dvipa_connection_t *this;

	INIT(this,
		.public = {
			.get_fd = _get_fd,
			.get_events = _get_events,
			.receive = _receive,
			.send = _send_,
			.queue = _queue,
			.get_subscriptions = _get_subscriptions,
			.set_subscriptions = _set_subscriptions,
			.destroy = _destroy,
		},
		.fd = fd,
		.input = chunk_alloc(INPUT_LEN),
		.output = linked_list_create(),
	);
	return &this->public;
}
