/*
 * A server's load: hands TCP segments to a network interface (a TUN) as its host's kernel would, `segments` of them as one large one that the
 * driver, or the kernel before it, has to cut up. Flow control as in flood.c: what arrived is read at the peer.
 *
 *   inject interface=NAME source=A destination=A source-port=N destination-port=N payload=BYTES segments=N window=N seconds=S
 *          headers=BYTES size=BYTES counters=FOLDER
 *
 * A packet that arrives at the peer has `size` bytes besides `headers`, which a joined one has once. Prints one JSON object.
 */
#define _GNU_SOURCE
#include "wire.h"

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { STALL_S = 1 };

static int packet_socket(const char *interface, struct sockaddr_ll *address)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1, bytes = 8 << 20;
	/* The protocol is of what is sent: a socket that is bound to it would receive as well. */
	*address = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
					 .sll_ifindex = if_nametoindex(interface) };
	if (fd < 0 || !address->sll_ifindex || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on))
		fail(interface);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	return fd;
}

int main(int argc, char **argv)
{
	(void)argc;
	size_t payload = atoi(option(argv, "payload"));
	int segments = atoi(option(argv, "segments"));
	double window = atof(option(argv, "window")), limit = atof(option(argv, "seconds"));
	struct flow flow = { 0 };
	inet_pton(AF_INET, option(argv, "source"), &flow.source);
	inet_pton(AF_INET, option(argv, "destination"), &flow.destination);
	flow.source_port = atoi(option(argv, "source-port"));
	flow.destination_port = atoi(option(argv, "destination-port"));
	if (segments < 1 || segments > MAX_SEGMENTS || segments * payload > 65000)
		exit(2);
	struct sockaddr_ll to;
	int fd = packet_socket(option(argv, "interface"), &to);
	struct virtio_net_hdr header = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					 .gso_type = segments > 1 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_NONE,
					 .hdr_len = INNER_HEADERS,
					 .gso_size = segments > 1 ? payload : 0,
					 .csum_start = IPV4_BYTES,
					 .csum_offset = 16 };
	size_t length = INNER_HEADERS + segments * payload;
	uint8_t *packet = calloc(1, length);
	struct iovec parts[] = { { &header, sizeof header }, { packet, length } };
	struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = parts, .msg_iovlen = 2 };
	struct arrivals through =
		watch_arrivals(option(argv, "counters"), atoi(option(argv, "headers")), atoi(option(argv, "size")));
	uint32_t sequence = 0;
	double sent = 0, came = 0, lost = 0, began = seconds(), moved = began, now;
	while ((now = seconds()) - began < limit) {
		if (sent - lost - came + segments > window) {
			double seen = arrived(&through);
			if (seen > came)
				came = seen, moved = now;
			if (now - moved > STALL_S)
				lost = sent - came, moved = now;
			if (sent - lost - came + segments > window) {
				pause_us(30);
				continue;
			}
		}
		write_headers(packet, &flow, sequence, ACK, segments * payload, true);
		if (sendmsg(fd, &message, 0) < 0) {
			pause_us(30); /* the queue of the device is full */
			continue;
		}
		sequence += segments * payload;
		sent += segments;
	}
	double took = seconds() - began;
	for (double end = seconds() + 2; seconds() < end && arrived(&through) < sent - lost - 0.5;)
		pause_us(1000);
	came = arrived(&through);
	printf("{\"sent\":%.0f,\"arrived\":%.0f,\"lost\":%.0f,\"seconds\":%.3f}\n", sent, came, sent - came, took);
	return 0;
}
