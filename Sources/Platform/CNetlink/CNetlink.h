// libnl-3: netlink sockets and messages. What rtnetlink says inside of them is NetlinkRoute's.
#pragma once

// As in CLinux: Swift wants to see one definition of the C library's types.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

// As in CLinux: select(2) is not used, and its header has other field names here than in Swift's Glibc.
#define _SYS_SELECT_H 1

#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
