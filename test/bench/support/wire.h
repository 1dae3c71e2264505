/* What both load generators need: options, a clock, inner TCP segments, and what came through as a counter of a network interface. */
#ifndef DVIPA_BENCH_WIRE_H
#define DVIPA_BENCH_WIRE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { IPV4_BYTES = 20, TCP_BYTES = 20, INNER_HEADERS = IPV4_BYTES + TCP_BYTES, MAX_SEGMENTS = 64 };

static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* NAME=VALUE on the command line; exits if there is none. */
static inline const char *option(char **argv, const char *name)
{
	size_t length = strlen(name);
	for (; *argv; argv++)
		if (!strncmp(*argv, name, length) && (*argv)[length] == '=')
			return *argv + length + 1;
	fprintf(stderr, "missing: %s=\n", name);
	exit(2);
}

static inline double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static inline void pause_us(long us)
{
	struct timespec pause = { .tv_nsec = us * 1000 };
	nanosleep(&pause, NULL);
}

/*
 * Packets that an interface has received: it counts a joined one once, with its headers once. `folder` is its .../statistics, in /proc/PID/root
 * of a process in the namespace.
 */
struct arrivals {
	int packets, bytes;
	unsigned headers, payload;
	double base;
};

static inline double read_counter(int fd)
{
	char text[32];
	ssize_t got = pread(fd, text, sizeof text - 1, 0);
	if (got <= 0)
		fail("counter");
	text[got] = 0;
	return strtod(text, NULL);
}

static inline double arrived(const struct arrivals *a)
{
	/* Bytes first: what comes in between makes the result too small, never too large. */
	double bytes = read_counter(a->bytes), packets = read_counter(a->packets);
	return (bytes - packets * a->headers) / a->payload - a->base;
}

static inline struct arrivals watch_arrivals(const char *folder, unsigned headers, unsigned payload)
{
	char path[512];
	struct arrivals a = { .headers = headers, .payload = payload };
	snprintf(path, sizeof path, "%s/rx_packets", folder);
	if ((a.packets = open(path, O_RDONLY)) < 0)
		fail(path);
	snprintf(path, sizeof path, "%s/rx_bytes", folder);
	if ((a.bytes = open(path, O_RDONLY)) < 0)
		fail(path);
	a.base = arrived(&a);
	return a;
}

static inline uint32_t sum16(const void *data, size_t length, uint32_t sum)
{
	const uint8_t *bytes = data;
	for (size_t i = 0; i + 1 < length; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	return length & 1 ? sum + (bytes[length - 1] << 8) : sum;
}

static inline uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

struct flow {
	uint32_t source, destination; /* network order */
	uint16_t source_port, destination_port;
};

enum { FIN = 1, SYN = 2, PSH = 8, ACK = 16 };

/* Sum of pseudo header, for a TCP segment of so many bytes. */
static inline uint32_t pseudo_sum(const struct flow *flow, size_t tcp_bytes)
{
	return sum16(&flow->destination, 4, sum16(&flow->source, 4, 6 + tcp_bytes));
}

/*
 * An IPv4 and a TCP header for a payload of so many zeros, so that the checksum is that of the headers. `is_partial`: the checksum is left to
 * whoever cuts the segment up.
 */
static inline void write_headers(uint8_t *at, const struct flow *flow, uint32_t sequence, uint8_t flags,
				 size_t payload, bool is_partial)
{
	uint8_t *tcp = at + IPV4_BYTES;
	memset(at, 0, INNER_HEADERS);
	at[0] = 0x45;
	put16(at + 2, INNER_HEADERS + payload);
	at[6] = 0x40; /* DF */
	at[8] = 64;
	at[9] = 6;
	memcpy(at + 12, &flow->source, 4);
	memcpy(at + 16, &flow->destination, 4);
	put16(at + 10, ~fold(sum16(at, IPV4_BYTES, 0)));
	put16(tcp, flow->source_port);
	put16(tcp + 2, flow->destination_port);
	put32(tcp + 4, sequence);
	put32(tcp + 8, flags & ACK ? 1 : 0);
	tcp[12] = 5 << 4;
	tcp[13] = flags;
	put16(tcp + 14, 0xffff);
	uint32_t pseudo = pseudo_sum(flow, TCP_BYTES + payload);
	put16(tcp + 16, is_partial ? fold(pseudo) : (uint16_t)~fold(sum16(tcp, TCP_BYTES, pseudo)));
}

#endif
