// Whether equal user ids are the same user's.
#pragma once

#include <sys/types.h>

namespace shoal {

// Whether `uid`, as the kernel shows it to this process, may stand for a user that it has no number
// for: the overflow user id (65534), unless each user id of this process's namespace is that of the
// whole machine. In a container it is the container's `nobody` and all users outside as well.
bool IsUnknownUser(uid_t uid);

// Whether the process `pid` at the other end of `socket`, a connected Unix socket, has this
// process's namespaces of users, processes and mounts. The same number in another one is another
// user: root of a container is not root. False where that cannot be told: there is no /proc, the
// process lives in a pid namespace that this one does not see, or this process may not look at it,
// as at one that has changed its user id since it was executed.
bool SharesNamespaces(int socket, pid_t pid);

}  // namespace shoal
